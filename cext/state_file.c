#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system_calls.h"
#include "text.h"

/* All fields and the longest strerror() fit; one block of any file system. */
#define STATE_BYTES 1024

/* Read the start of a small file of the kernel's as a string. */
static void read_line(const char *path, char *buffer, size_t capacity) {
  ssize_t count = -1;
  int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) {
    count = read(descriptor, buffer, capacity - 1);
    close(descriptor);
  }
  buffer[count > 0 ? count : 0] = '\0';
}

/* Field 22 of /proc/PID/stat. Fields are counted from the last ')', because the second is a name of the process's own choosing. */
static uint64_t read_start_time(pid_t pid) {
  char path[32];
  char line[1024];
  struct text text = {path, 0, sizeof path - 1};
  text_string(&text, "/proc/");
  text_number(&text, pid);
  text_string(&text, "/stat");
  path[text.length] = '\0';
  read_line(path, line, sizeof line);
  char *position = strrchr(line, ')');
  for (int field = 2; field < 22 && position != NULL; field++)
    position = strchr(position + 1, ' ');
  return position == NULL ? 0 : strtoull(position + 1, NULL, 10);
}

void state_begin(struct state *state, const char *path, pid_t pid) {
  memset(state, 0, sizeof *state);
  state->path = path;
  state->pid = pid;
  if (path == NULL)
    return;
  (void)clock_gettime(CLOCK_REALTIME, &state->started);
  state->start_time = read_start_time(pid);
  read_line("/proc/sys/kernel/random/boot_id", state->boot_id, sizeof state->boot_id);
}

static void add_key(struct text *text, const char *key) {
  text_string(text, text->length == 0 ? "{\"" : ",\"");
  text_string(text, key);
  text_string(text, "\":");
}

static void add_number(struct text *text, const char *key, int64_t number) {
  add_key(text, key);
  text_number(text, number);
}

static void add_string(struct text *text, const char *key, const char *string) {
  add_key(text, key);
  text_string(text, "\"");
  text_json(text, string, strlen(string));
  text_string(text, "\"");
}

static void add_time(struct text *text, const char *key, const struct timespec *when) {
  add_key(text, key);
  text_string(text, "\"");
  text_time(text, when);
  text_string(text, "\"");
}

static void format(const struct state *state, struct text *text) {
  char error[200] = "";
  if (state->log_error != 0) {
    struct text message = {error, 0, sizeof error - 1};
    text_string(&message, "output is missing from the log: ");
    text_string(&message, strerror(state->log_error));
    error[message.length] = '\0';
  }
  add_number(text, "pid", state->pid);
  add_number(text, "start_time", (int64_t)state->start_time);
  add_string(text, "boot_id", state->boot_id);
  add_number(text, "monitor_pid", getpid());
  add_time(text, "started_at", &state->started);
  if (state->has_exited)
    add_time(text, "finished_at", &state->finished);
  else
    add_string(text, "finished_at", "");
  add_number(text, "exit_code", state->exit_code);
  add_string(text, "status", state->has_exited ? "exited" : "running");
  add_string(text, "error", error);
  text_string(text, "}\n");
}

/* Write the text to a new file at `path`. 0, or -1 with errno and no file. */
static int write_new(const char *path, const struct text *text, int durable) {
  int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (descriptor < 0)
    return -1;
  int result = write_all(descriptor, text->bytes, text->length);
  if (result == 0 && durable)
    result = fsync(descriptor);
  int error = errno;
  close(descriptor);
  if (result < 0)
    unlink(path);
  errno = error;
  return result;
}

/* Where there is no room for a second file, the block that the first one has can still take the new text; spaces cover a longer old one. */
static int write_in_place(const struct state *state, struct text *text) {
  text->length--; /* the newline comes last again */
  while (text->length < STATE_BYTES - 1)
    text_string(text, " ");
  text_string(text, "\n");
  int descriptor = open(state->path, O_WRONLY | O_CLOEXEC);
  if (descriptor < 0)
    return -1;
  int result = write_all(descriptor, text->bytes, text->length);
  if (result == 0)
    result = fsync(descriptor);
  close(descriptor);
  return result;
}

int state_write(const struct state *state, int durable) {
  char bytes[STATE_BYTES];
  char temporary[PATH_MAX];
  struct text text = {bytes, 0, sizeof bytes};
  struct text name = {temporary, 0, sizeof temporary - 1};
  if (state->path == NULL)
    return 0;
  format(state, &text);
  text_string(&name, state->path);
  text_string(&name, ".tmp"); /* one name is enough: the monitor is the only writer, and holds the run lock */
  temporary[name.length] = '\0';
  if (write_new(temporary, &text, durable) < 0)
    return errno == ENOSPC || errno == EDQUOT ? write_in_place(state, &text) : -1;
  if (rename(temporary, state->path) < 0) {
    unlink(temporary);
    return -1;
  }
  return 0;
}

void state_sync(const struct state *state) {
  char directory[PATH_MAX];
  struct text name = {directory, 0, sizeof directory - 1};
  const char *slash = state->path == NULL ? NULL : strrchr(state->path, '/');
  if (slash == NULL)
    return;
  text_bytes(&name, state->path, (size_t)(slash - state->path) + 1);
  directory[name.length] = '\0';
  int descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return;
  (void)fsync(descriptor);
  close(descriptor);
}
