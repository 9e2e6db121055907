/*
 * How klerod-hsm and klerod-keyadm end, for parent: the code says what to do next. Shared by them,
 * engine and parent.
 */
#ifndef HSM_ROLE_EXIT_H
#define HSM_ROLE_EXIT_H

enum hsm_exit {
	HSM_EXIT_PLANNED = 0, /* STOP, parent gone, or worn out: start a fresh one, no death */
	HSM_EXIT_FAILED = 1,  /* a failed start or a broken invariant: fatal() */
	HSM_EXIT_LOST = 3,    /* the device or its session is lost: a fresh one, with back-off */
	HSM_EXIT_PIN = 4,     /* the PIN was refused: never again the same, tokens lock */
	HSM_EXIT_OLD = 5,     /* the token lacks what keyadm can complete, or its database was left
			       * half written, which keyadm undoes: then start again */
	HSM_EXIT_LOCKED = 6,  /* the PIN is locked, or not to be tried: only after a word */
	HSM_EXIT_PIN_TLS = 7, /* keyadm: that of the second token */
	HSM_EXIT_LOCKED_TLS = 8,
	HSM_EXIT_OTHER = 9, /* none of the keys that served before: as LOST */
};

#endif
