/* Output from the container and input to it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor.h"

/* Reads in a row from one stream, before the other one and the clients get their turn. */
#define READS_IN_A_ROW 4

static bool has_tail(const struct stream *stream) {
  return stream->tail_length > stream->tail_offset;
}

bool pump_wants_stream(const struct monitor *monitor, int index) {
  const struct stream *stream = &monitor->streams[index];
  if (stream->descriptor < 0)
    return false;
  if (stream->waiting == 0 && !has_tail(stream))
    return true;
  return monitor->has_exited && stream->tail_length < TAIL_MAXIMUM;
}

/* Room for one more message at the end of the tail, NULL when there is none. */
static char *tail_room(struct stream *stream) {
  if (stream->tail_capacity - stream->tail_length < MESSAGE_BYTES) {
    size_t capacity = stream->tail_capacity + 2 * MESSAGE_BYTES;
    char *tail = realloc(stream->tail, capacity);
    if (tail == NULL)
      return NULL;
    stream->tail = tail;
    stream->tail_capacity = capacity;
  }
  return stream->tail + stream->tail_length;
}

static void close_stream(struct stream *stream) {
  if (stream->descriptor >= 0)
    close(stream->descriptor);
  stream->descriptor = -1;
}

static void keep_in_log(struct monitor *monitor, int index, const char *bytes, size_t length) {
  log_write(&monitor->log, index, bytes, length);
  if (monitor->log.error != 0 && !monitor->log_error_is_told) {
    monitor->state.log_error = monitor->log.error;
    monitor->log_error_is_told = state_write(&monitor->state, 0) == 0;
  }
  clients_log_grown(monitor);
}

void pump_stream(struct monitor *monitor, int index) {
  struct stream *stream = &monitor->streams[index];
  for (int turn = 0; turn < READS_IN_A_ROW && pump_wants_stream(monitor, index); turn++) {
    bool is_tail = stream->waiting > 0 || has_tail(stream);
    char *target = is_tail ? tail_room(stream) : stream->chunk + 1;
    if (target == NULL)
      return;
    ssize_t count = read(stream->descriptor, target, MESSAGE_BYTES);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    if (count <= 0) { /* end of a pipe; a terminal says EIO when nobody has it open any more */
      close_stream(stream);
      return;
    }
    monitor->last_output = monotonic_milliseconds();
    keep_in_log(monitor, index, target, (size_t)count);
    if (is_tail) {
      stream->tail_length += (size_t)count;
    } else {
      stream->length = 1 + (size_t)count;
      clients_offer(monitor, index);
    }
  }
}

void pump_close_streams(struct monitor *monitor) {
  for (int index = 0; index < STREAM_COUNT; index++) {
    /* A pipe holds no more than a tail does; a process that keeps on writing does not hold us up. */
    for (size_t turn = 0; turn < TAIL_MAXIMUM / MESSAGE_BYTES / READS_IN_A_ROW; turn++)
      pump_stream(monitor, index);
    close_stream(&monitor->streams[index]);
  }
}

void pump_tails(struct monitor *monitor) {
  for (int index = 0; index < STREAM_COUNT; index++) {
    struct stream *stream = &monitor->streams[index];
    while (stream->waiting == 0 && has_tail(stream)) {
      size_t length = stream->tail_length - stream->tail_offset;
      if (length > MESSAGE_BYTES)
        length = MESSAGE_BYTES;
      memcpy(stream->chunk + 1, stream->tail + stream->tail_offset, length);
      stream->length = 1 + length;
      stream->tail_offset += length;
      clients_offer(monitor, index);
    }
    if (!has_tail(stream))
      stream->tail_offset = stream->tail_length = 0;
  }
}

bool pump_tails_are_empty(const struct monitor *monitor) {
  return !has_tail(&monitor->streams[STREAM_OUTPUT]) && !has_tail(&monitor->streams[STREAM_ERROR]);
}

void pump_close_input(struct monitor *monitor) {
  struct input *input = &monitor->input;
  if (input->descriptor >= 0)
    close(input->descriptor);
  input->descriptor = -1;
  input->is_ending = false;
}

void pump_input(struct monitor *monitor) {
  struct input *input = &monitor->input;
  while (input->descriptor >= 0 && input->offset < input->length) {
    ssize_t count = write(input->descriptor, input->bytes + input->offset, input->length - input->offset);
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0 && errno == EAGAIN)
      return;
    if (count < 0) /* EPIPE: the container has closed its input; EIO: its terminal has gone */
      pump_close_input(monitor);
    else
      input->offset += (size_t)count;
  }
  input->offset = input->length = 0;
  if (input->is_ending)
    pump_close_input(monitor);
  if (input->owner >= 0) {
    monitor->clients[input->owner].acknowledge += input->taken;
    clients_resume(monitor, input->owner);
  }
  input->owner = -1;
  input->taken = 0;
}
