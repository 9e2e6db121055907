/*
 * The last words of a process that made a forbidden system call: see deadly.c. Part of the
 * sandbox; in every child.
 */
#ifndef SANDBOX_DEADLY_H
#define SANDBOX_DEADLY_H

#include "policy/ke.h"

/* Remembers the name of a system call; longer names are cut, higher numbers ignored. */
void deadly_name(int nr, const char *name);

/* Sets the handler of SIGSYS, before the filter makes that impossible. */
int deadly_install(void) KE_CHECK;

#endif
