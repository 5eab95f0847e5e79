/* The container's log in docker's json-file form, with rotation. */
#ifndef OCIRUN_LOG_FILE_H
#define OCIRUN_LOG_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "text.h"

#define LOG_LINE_BYTES 16384 /* docker's: a longer line becomes several records */
#define LOG_RECORD_BYTES 128 /* everything of a record but its text */

enum { STREAM_OUTPUT = 0, STREAM_ERROR = 1, STREAM_COUNT = 2 };

struct log_line {
  size_t length;
  char bytes[LOG_LINE_BYTES];
};

struct log_file {
  const char *path; /* NULL: nothing is kept */
  uint64_t max_bytes; /* 0: no rotation */
  uint64_t max_files; /* the current one included */
  uint64_t size;
  int descriptor; /* -1 while it cannot be opened */
  int error; /* the first errno that lost output, 0 while all is kept */
  size_t buffered;
  struct log_line lines[STREAM_COUNT]; /* a line whose end has not come yet */
  char buffer[LOG_LINE_BYTES * TEXT_JSON_GROWTH + LOG_RECORD_BYTES];
};

/* Open `path` for appending. 0, or -1 with errno. */
must_check int log_open(struct log_file *log, const char *path, uint64_t max_bytes, uint64_t max_files);
/* Keep what `stream` has written. Whole lines are in the file on return. It cannot fail: what cannot be written is lost, the file keeps
 * whole records, and log->error says why; the container is never held up by a full disk. */
void log_write(struct log_file *log, int stream, const char *bytes, size_t length);
/* Write the lines that had no end, and close. */
void log_close(struct log_file *log);

#endif
