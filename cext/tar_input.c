/* Bytes of an archive, from a pipe in large pieces or from memory. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tar_header.h"

int tar_open(struct tar_reader *reader, int descriptor) {
  *reader = (struct tar_reader){.input = {.descriptor = descriptor, .capacity = TAR_INPUT_BYTES}};
  tar_reset_extension(&reader->extension);
  reader->input.buffer = malloc(TAR_INPUT_BYTES);
  return reader->input.buffer == NULL ? -1 : 0;
}

void tar_open_memory(struct tar_reader *reader, void *bytes, size_t length) {
  *reader = (struct tar_reader){.input = {.descriptor = -1, .buffer = bytes, .end = length, .capacity = length, .ended = true}};
  tar_reset_extension(&reader->extension);
}

void tar_close(struct tar_reader *reader) {
  if (reader->input.descriptor >= 0)
    free(reader->input.buffer);
  buffer_free(&reader->member.path);
  buffer_free(&reader->member.link);
  buffer_free(&reader->member.attributes);
  buffer_free(&reader->extension.path);
  buffer_free(&reader->extension.link);
  free(reader->member.extents);
  *reader = (struct tar_reader){.input = {.descriptor = -1}};
}

int tar_need(struct tar_input *input, size_t count) {
  if (input->end - input->start >= count)
    return 1;
  if (count > input->capacity) {
    errno = EMSGSIZE;
    return input->ended ? 0 : -1;
  }
  if (!input->ended && input->start > 0) {
    memmove(input->buffer, input->buffer + input->start, input->end - input->start);
    input->end -= input->start;
    input->start = 0;
  }
  while (!input->ended && input->end < count) {
    ssize_t got = read(input->descriptor, input->buffer + input->end, input->capacity - input->end);

    if (got < 0 && errno != EINTR)
      return -1;
    if (got == 0)
      input->ended = true;
    if (got > 0)
      input->end += (size_t)got;
  }
  return input->end - input->start >= count;
}
