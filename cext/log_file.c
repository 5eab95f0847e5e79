#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Written at once when there is this much: the rest of the buffer is for long lines, and mostly never touched. */
#define WRITE_BYTES 16384
/* More rotated files than this are not asked for in earnest, and each costs a rename. */
#define MAX_FILES 1000u

static void note_error(struct log_file *log) {
  if (log->error == 0)
    log->error = errno;
}

static int open_current(struct log_file *log) {
  struct stat status;
  int descriptor = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (descriptor < 0)
    return -1;
  log->descriptor = descriptor;
  log->size = fstat(descriptor, &status) == 0 ? (uint64_t)status.st_size : 0;
  return 0;
}

int log_open(struct log_file *log, const char *path, uint64_t max_bytes, uint64_t max_files) {
  log->path = path;
  log->max_bytes = max_bytes;
  log->max_files = max_files > MAX_FILES ? MAX_FILES : max_files;
  return open_current(log);
}

/* "PATH.NUMBER" */
static void numbered_path(char result[PATH_MAX], const char *path, uint64_t number) {
  struct text text = {result, 0, PATH_MAX - 1};
  text_string(&text, path);
  text_string(&text, ".");
  text_number(&text, (int64_t)number);
  result[text.length] = '\0';
}

static void rotate(struct log_file *log) {
  char from[PATH_MAX];
  char to[PATH_MAX];
  for (uint64_t number = log->max_files; number-- > 2;) {
    numbered_path(from, log->path, number - 1);
    numbered_path(to, log->path, number);
    if (rename(from, to) < 0 && errno != ENOENT)
      note_error(log);
  }
  numbered_path(to, log->path, 1);
  /* A single file is begun anew under the same name, so that a follower sees that it is another file. */
  int result = log->max_files > 1 ? rename(log->path, to) : unlink(log->path);
  if (result < 0 && errno != ENOENT) {
    note_error(log);
    return;
  }
  close(log->descriptor);
  log->descriptor = -1;
  if (open_current(log) < 0)
    note_error(log);
}

/* Take the last `count` bytes off the file. Its size is asked for, because users empty logs behind our back. */
static void cut_off(struct log_file *log, size_t count) {
  struct stat status;
  if (count == 0 || fstat(log->descriptor, &status) < 0 || (uint64_t)status.st_size < count)
    return;
  log->size = (uint64_t)status.st_size - count;
  if (ftruncate(log->descriptor, (off_t)log->size) < 0)
    log->size += count;
}

/* Write the buffered records. When the disk takes only a part, the part is cut off again: readers never meet half a record. */
static void flush(struct log_file *log) {
  size_t written = 0;
  while (written < log->buffered) {
    ssize_t count = write(log->descriptor, log->buffer + written, log->buffered - written);
    if (count > 0) {
      written += (size_t)count;
    } else if (count < 0 && errno != EINTR) {
      note_error(log);
      cut_off(log, written);
      log->buffered = 0;
      return;
    }
  }
  log->size += written;
  log->buffered = 0;
}

static int is_writable(struct log_file *log) {
  if (log->descriptor >= 0 || open_current(log) == 0)
    return 1;
  note_error(log);
  return 0;
}

static void add_record(struct log_file *log, int stream, const char *bytes, size_t length, const struct timespec *now) {
  if (!is_writable(log))
    return;
  if (log->max_bytes != 0 && log->size + log->buffered >= log->max_bytes) {
    flush(log);
    rotate(log);
    if (!is_writable(log))
      return;
  }
  if (sizeof log->buffer - log->buffered < length * TEXT_JSON_GROWTH + LOG_RECORD_BYTES)
    flush(log);
  struct text text = {log->buffer, log->buffered, sizeof log->buffer};
  text_string(&text, "{\"log\":\"");
  text_json(&text, bytes, length);
  text_string(&text, stream == STREAM_OUTPUT ? "\",\"stream\":\"stdout\",\"time\":\"" : "\",\"stream\":\"stderr\",\"time\":\"");
  text_time(&text, now);
  text_string(&text, "\"}\n");
  log->buffered = text.length;
  if (log->buffered >= WRITE_BYTES)
    flush(log);
}

/* Add to the unfinished line; it becomes a record when its end has come or when it is as long as a record may be. */
static void add_to_line(struct log_file *log, int stream, const char *bytes, size_t length, int is_end, const struct timespec *now) {
  struct log_line *line = &log->lines[stream];
  memcpy(line->bytes + line->length, bytes, length);
  line->length += length;
  if (is_end) {
    add_record(log, stream, line->bytes, line->length, now);
    line->length = 0;
  } else if (line->length == LOG_LINE_BYTES) {
    size_t whole = text_whole_characters(line->bytes, line->length);
    add_record(log, stream, line->bytes, whole, now);
    memmove(line->bytes, line->bytes + whole, line->length - whole);
    line->length -= whole;
  }
}

void log_write(struct log_file *log, int stream, const char *bytes, size_t length) {
  struct timespec now;
  if (log->path == NULL)
    return;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  while (length > 0) {
    size_t kept = log->lines[stream].length;
    size_t room = LOG_LINE_BYTES - kept;
    size_t searched = length < room ? length : room;
    const char *newline = memchr(bytes, '\n', searched);
    size_t taken = newline != NULL ? (size_t)(newline - bytes) + 1 : searched;
    if (newline != NULL && kept == 0)
      add_record(log, stream, bytes, taken, &now);
    else
      add_to_line(log, stream, bytes, taken, newline != NULL, &now);
    bytes += taken;
    length -= taken;
  }
  if (log->buffered > 0)
    flush(log);
}

void log_close(struct log_file *log) {
  struct timespec now;
  if (log->path == NULL)
    return;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  for (int stream = 0; stream < STREAM_COUNT; stream++) {
    struct log_line *line = &log->lines[stream];
    if (line->length > 0)
      add_record(log, stream, line->bytes, line->length, &now);
    line->length = 0;
  }
  if (log->buffered > 0)
    flush(log);
  if (log->descriptor >= 0)
    close(log->descriptor);
  log->descriptor = -1;
  log->path = NULL;
}
