/* Maps of sparse files (GNU tar manual, "Storing Sparse Files"). A map lists the pieces with content; the rest is holes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tar_header.h"

/* The old GNU header: four pieces in the header block, 21 in each block that continues it. */
enum { OLD_FIRST_MAP = 386, OLD_FIRST_COUNT = 4, OLD_FIRST_MORE = 482, OLD_FILE_SIZE = 483 };
enum { OLD_NEXT_COUNT = 21, OLD_NEXT_MORE = 504, OLD_NUMBER = 12 };

const char *tar_add_extent(struct tar_reader *reader, uint64_t offset, uint64_t length) {
  struct tar_member *member = &reader->member;

  if (member->extent_count >= TAR_EXTENT_LIMIT)
    return "its sparse map is too long";
  if (member->extent_count == reader->extent_capacity) {
    size_t capacity = reader->extent_capacity == 0 ? 16 : reader->extent_capacity * 2;
    struct tar_extent *extents = realloc(member->extents, capacity * sizeof *extents);

    if (extents == NULL)
      return "out of memory";
    member->extents = extents;
    reader->extent_capacity = capacity;
  }
  member->extents[member->extent_count++] = (struct tar_extent){offset, length};
  return NULL;
}

const char *tar_take_map(struct tar_reader *reader, const char *text, size_t length) {
  const char *end = text + length, *reason = NULL;
  uint64_t pair[2] = {0, 0};
  int count = 0;

  while (text < end && reason == NULL) {
    const char *comma = memchr(text, ',', (size_t)(end - text));

    if (comma == NULL)
      comma = end;
    if (!tar_decimal(text, (size_t)(comma - text), &pair[count % 2]))
      return "its sparse map is broken";
    if (count++ % 2 == 1)
      reason = tar_add_extent(reader, pair[0], pair[1]);
    text = comma + 1;
  }
  return reason == NULL && count % 2 == 1 ? "its sparse map is broken" : reason;
}

/* Pieces from an array of (offset, length) fields; an empty offset field ends it. */
static const char *take_old_pieces(struct tar_reader *reader, const unsigned char *field, int count) {
  const char *reason = NULL;

  for (int index = 0; index < count && field[0] != '\0' && reason == NULL; index++) {
    int64_t offset = 0, length = 0;

    reason = tar_number(field, OLD_NUMBER, &offset);
    if (reason == NULL)
      reason = tar_number(field + OLD_NUMBER, OLD_NUMBER, &length);
    if (reason == NULL && (offset < 0 || length < 0))
      reason = "its sparse map is broken";
    if (reason == NULL)
      reason = tar_add_extent(reader, (uint64_t)offset, (uint64_t)length);
    field += (size_t)2 * OLD_NUMBER;
  }
  return reason;
}

int tar_read_old_map(struct tar_reader *reader, const unsigned char *block, struct failure *failure) {
  struct tar_input *input = &reader->input;
  int64_t file_size = 0;
  bool more = block[OLD_FIRST_MORE] != 0;
  const char *reason = tar_number(block + OLD_FILE_SIZE, OLD_NUMBER, &file_size);

  if (reason == NULL && file_size < 0)
    reason = "its size is negative";
  reader->member.file_size = (uint64_t)file_size;
  reader->member.extent_count = 0;
  if (reason == NULL)
    reason = take_old_pieces(reader, block + OLD_FIRST_MAP, OLD_FIRST_COUNT);
  while (reason == NULL && more) {
    int there = tar_need(input, TAR_BLOCK);

    if (there < 0)
      return fail(failure, buffer_text(&reader->member.path));
    if (there == 0)
      return tar_broken(reader, failure, "the archive is cut off in its sparse map");
    reason = take_old_pieces(reader, input->buffer + input->start, OLD_NEXT_COUNT);
    more = input->buffer[input->start + OLD_NEXT_MORE] != 0;
    input->start += TAR_BLOCK;
  }
  return reason == NULL ? 0 : tar_broken(reader, failure, reason);
}

/* One line of the map in the content: decimal digits and a newline. Counts what it takes from reader->left. */
static int read_map_number(struct tar_reader *reader, uint64_t *number, struct failure *failure) {
  char digits[21];
  size_t count = 0;

  for (;;) {
    const unsigned char *byte;
    size_t length;
    int more = tar_content(reader, 1, &byte, &length, failure);

    if (more < 0)
      return -1;
    if (more == 0 || count == sizeof digits)
      return tar_broken(reader, failure, "its sparse map is broken");
    if (*byte == '\n')
      break;
    digits[count++] = (char)*byte;
  }
  return tar_decimal(digits, count, number) ? 0 : tar_broken(reader, failure, "its sparse map is broken");
}

int tar_read_content_map(struct tar_reader *reader, struct failure *failure) {
  uint64_t count = 0, before = reader->left, used, pair[2] = {0, 0};
  const unsigned char *bytes;
  size_t length;

  reader->member.extent_count = 0;
  if (read_map_number(reader, &count, failure) < 0)
    return -1;
  for (uint64_t index = 0; index < count; index++) {
    const char *reason;

    if (read_map_number(reader, &pair[0], failure) < 0 || read_map_number(reader, &pair[1], failure) < 0)
      return -1;
    reason = tar_add_extent(reader, pair[0], pair[1]);
    if (reason != NULL)
      return tar_broken(reader, failure, reason);
  }
  /* The map fills whole blocks. */
  used = (before - reader->left) % TAR_BLOCK;
  for (uint64_t rest = used == 0 ? 0 : TAR_BLOCK - used; rest > 0; rest -= length) {
    int more = tar_content(reader, rest, &bytes, &length, failure);

    if (more <= 0)
      return more < 0 ? -1 : tar_broken(reader, failure, "its sparse map is broken");
  }
  return 0;
}

const char *tar_check_map(const struct tar_member *member, uint64_t content) {
  uint64_t end = 0, sum = 0;

  for (size_t index = 0; index < member->extent_count; index++) {
    const struct tar_extent *extent = &member->extents[index];

    if (extent->offset < end || extent->offset > member->file_size || extent->length > member->file_size - extent->offset)
      return "its sparse map is broken";
    end = extent->offset + extent->length;
    sum += extent->length;
  }
  return sum == content ? NULL : "its sparse map does not fit its size";
}
