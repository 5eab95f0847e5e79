/* Extension only: starting the static helper out of a Python process. */
#ifndef OCIRUN_SPAWN_HELPER_H
#define OCIRUN_SPAWN_HELPER_H

#include <stddef.h>
#include <sys/types.h>

/* An anonymous file with `length` bytes that nobody can change any more, CLOEXEC. A descriptor, or -1 with errno. */
int seal_memory(const char *name, const void *bytes, size_t length);

/* A sealed copy of the program at `path`: what a container could reach through /proc/PID/exe is this copy, never the file. */
int seal_program(const char *path);

/* Start `program` (from seal_program) as `ocirun-init MODE` with an empty environment. sources[i] becomes descriptor numbers[i],
 * which rise and are below 64; of 0, 1 and 2 those not named are /dev/null; all others are closed. `detached`: the new process is no child of ours, so nobody has to wait for it.
 * Safe in a process with threads. The pid, or -1 with errno. */
pid_t spawn_helper(int program, const char *mode, const int *numbers, const int *sources, size_t count, int detached);

#endif
