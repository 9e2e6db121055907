/*
 * What everybody needs who makes a file to stay. Runs in parent, engine, kleroctl and
 * klero-verify.
 */
#ifndef DAEMON_CONF_DURABLE_H
#define DAEMON_CONF_DURABLE_H

#include <stdbool.h>
#include <stddef.h>

/* All n bytes; false with errno. */
bool durable_write(int fd, const void *p, size_t n);

/* Makes what was changed in this folder survive a power cut; false with errno. */
bool durable_folder(const char *folder);

/* Makes what was changed in the folder of this path survive a power cut; false with errno. */
bool durable_name(const char *path);

#endif
