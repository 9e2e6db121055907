/*
 * What engine does once, before its loop: reads its configuration, warms up, enters its sandbox.
 * Every failure is fatal with one line that names the thing and what to do. Runs in engine.
 */
#ifndef DAEMON_ENGINE_BOOT_H
#define DAEMON_ENGINE_BOOT_H

struct engine;

void boot_configure(struct engine *e);
/* For restore, which has nobody else to listen to: waits for hsm's channel, its descriptor. */
int boot_wait_hsm(void);
/* Tables, buffers, libcrypto's algorithms: before the sandbox. */
void boot_warm_up(struct engine *e);
/*
 * The sandbox. With users of its own the store's folder becomes the root folder too: Landlock does
 * not keep anybody from asking which files there are.
 */
void boot_enter(struct engine *e);

#endif
