/*
 * parent's clock, in a file of its own: tests of the other files have one that they set.
 */
#include <time.h>

#include "daemon/parent/parent.h"

int64_t parent_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
