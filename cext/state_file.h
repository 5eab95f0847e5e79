/* state.json: what the monitor knows of its container, for everybody who asks while it runs and after. */
#ifndef OCIRUN_STATE_FILE_H
#define OCIRUN_STATE_FILE_H

#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "plan.h"

struct state {
  const char *path; /* NULL: nothing is written */
  pid_t pid;
  uint64_t start_time; /* clock ticks since boot, field 22 of /proc/PID/stat: with it a reused pid is told from ours */
  char boot_id[37];
  struct timespec started;
  struct timespec finished;
  int exit_code;
  int has_exited;
  int log_error; /* errno of the first output that the log has lost */
};

/* Fill pid, start time, boot id and the time of the start. What cannot be read stays zero or empty. */
void state_begin(struct state *state, const char *path, pid_t pid);
/* Replace the file: rename(2), with fsync of the content when `durable`. On a full disk the old file's blocks are written over. 0, or -1 with errno. */
must_check int state_write(const struct state *state, int durable);
/* Flush the file's name to disk as well, or try to: until then a power cut may bring the old file back, whose boot id says what it is. */
void state_sync(const struct state *state);

#endif
