/*
 * How klerod-hsm ends, for parent: the code says what to do next. Shared by klerod-hsm and parent.
 */
#ifndef HSM_ROLE_EXIT_H
#define HSM_ROLE_EXIT_H

enum hsm_exit {
	HSM_EXIT_PLANNED = 0, /* STOP, parent gone, or worn out: start a fresh one, no death */
	HSM_EXIT_FAILED = 1,  /* a failed start or a broken invariant: fatal() */
	HSM_EXIT_LOST = 3,    /* the device or its session is lost: a fresh one, with back-off */
	HSM_EXIT_OLD = 5,     /* the token lacks what keyadm can complete: then start again */
	HSM_EXIT_PIN = 4, /* the PIN was refused or is locked: do not start again, tokens lock */
};

#endif
