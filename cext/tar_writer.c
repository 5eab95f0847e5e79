/* Headers and buffering of the archive that is written; tar_writer.h says what each promises. */
#include "tar_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 1 << 18 };
/* Where ustar's fields are. */
enum { AT_MODE = 100, AT_UID = 108, AT_GID = 116, AT_SIZE = 124, AT_TIME = 136, AT_CHECKSUM = 148, AT_TYPE = 156, AT_LINK = 157 };
enum { AT_MAGIC = 257, AT_MAJOR = 329, AT_MINOR = 337, NAME_BYTES = 100 };
/* The largest numbers of fields with seven and eleven octal digits. */
#define SEVEN_DIGITS 07777777u
#define ELEVEN_DIGITS 077777777777u

int tar_writer_open(struct tar_writer *writer, int output) {
  *writer = (struct tar_writer){.output = output, .buffer = malloc(BUFFER_BYTES)};
  return writer->buffer == NULL ? -1 : 0;
}

void tar_writer_close(struct tar_writer *writer) {
  free(writer->buffer);
  buffer_free(&writer->records);
  writer->buffer = NULL;
}

static int flush(struct tar_writer *writer) {
  size_t used = writer->used;

  writer->used = 0;
  return write_all(writer->output, writer->buffer, used);
}

int tar_write_room(struct tar_writer *writer, void **room, size_t *length) {
  if (writer->used == BUFFER_BYTES && flush(writer) < 0)
    return -1;
  *room = writer->buffer + writer->used;
  *length = BUFFER_BYTES - writer->used;
  return 0;
}

static int put(struct tar_writer *writer, const void *bytes, size_t length) {
  const unsigned char *next = bytes;

  while (length > 0) {
    void *room;
    size_t piece;

    if (tar_write_room(writer, &room, &piece) < 0)
      return -1;
    if (piece > length)
      piece = length;
    memcpy(room, next, piece);
    writer->used += piece;
    next += piece;
    length -= piece;
  }
  return 0;
}

void tar_wrote(struct tar_writer *writer, size_t length) {
  writer->used += length;
  writer->content -= length;
}

int tar_write(struct tar_writer *writer, const void *bytes, size_t length) {
  writer->content -= length;
  return put(writer, bytes, length);
}

static int pad(struct tar_writer *writer) {
  static const unsigned char zeros[TAR_BLOCK];
  uint32_t padding = writer->padding;

  writer->padding = 0;
  return put(writer, zeros, padding);
}

int tar_writer_finish(struct tar_writer *writer) {
  static const unsigned char end[2 * TAR_BLOCK];

  return pad(writer) < 0 || put(writer, end, sizeof end) < 0 ? -1 : flush(writer);
}

/* One record, whose length counts its own digits. */
static int add_record(struct buffer *records, const char *keyword, const void *value, size_t length) {
  size_t rest = strlen(keyword) + length + 3, total = rest + 1;
  char head[32];
  int digits;

  for (;;) {
    digits = snprintf(head, sizeof head, "%zu ", total);
    if ((size_t)digits - 1 + rest == total)
      break;
    total = (size_t)digits - 1 + rest;
  }
  if (buffer_append(records, head, (size_t)digits) < 0 || buffer_append(records, keyword, strlen(keyword)) < 0)
    return -1;
  if (buffer_append(records, "=", 1) < 0 || buffer_append(records, value, length) < 0)
    return -1;
  return buffer_append(records, "\n", 1);
}

static int add_number(struct buffer *records, const char *keyword, uint64_t number) {
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRIu64, number);

  return add_record(records, keyword, text, (size_t)length);
}

/* Seconds with a fraction; before 1970 the fraction counts backwards, so that -1.5 is one and a half seconds before. */
static int add_time(struct buffer *records, const struct tar_member *member) {
  int64_t seconds = member->seconds;
  uint32_t nanoseconds = member->nanoseconds;
  char text[48];
  int length;

  if (seconds < 0 && nanoseconds > 0) {
    seconds += 1;
    nanoseconds = 1000000000 - nanoseconds;
  }
  length = snprintf(text, sizeof text, "%s%" PRIu64, member->seconds < 0 ? "-" : "", seconds < 0 ? 0 - (uint64_t)seconds : (uint64_t)seconds);
  if (nanoseconds > 0) {
    length += snprintf(text + length, sizeof text - (size_t)length, ".%09u", nanoseconds);
    while (text[length - 1] == '0')
      length--;
  }
  return add_record(records, "mtime", text, (size_t)length);
}

static int add_attributes(struct buffer *records, const struct tar_member *member) {
  const char *name;
  const void *value;
  size_t length;

  for (size_t at = 0; tar_next_attribute(member, &at, &name, &value, &length);) {
    char keyword[300];

    snprintf(keyword, sizeof keyword, "SCHILY.xattr.%s", name);
    if (add_record(records, keyword, value, length) < 0)
      return -1;
  }
  return 0;
}

static int add_sparse(struct buffer *records, const struct tar_entry *entry) {
  if (!entry->member->sparse)
    return 0;
  if (add_number(records, "GNU.sparse.major", 1) < 0 || add_number(records, "GNU.sparse.minor", 0) < 0)
    return -1;
  if (add_record(records, "GNU.sparse.name", entry->path, strlen(entry->path)) < 0)
    return -1;
  return add_number(records, "GNU.sparse.realsize", entry->member->file_size);
}

/* What ustar's fields cannot hold. The path comes with its slash. */
static int make_records(struct buffer *records, const struct tar_entry *entry, const char *path) {
  const struct tar_member *member = entry->member;

  buffer_cut(records, 0);
  if (strlen(path) > NAME_BYTES && !member->sparse && add_record(records, "path", path, strlen(path)) < 0)
    return -1;
  if (strlen(entry->link) > NAME_BYTES && add_record(records, "linkpath", entry->link, strlen(entry->link)) < 0)
    return -1;
  if (member->size > ELEVEN_DIGITS && add_number(records, "size", member->size) < 0)
    return -1;
  if (member->uid > SEVEN_DIGITS && add_number(records, "uid", member->uid) < 0)
    return -1;
  if (member->gid > SEVEN_DIGITS && add_number(records, "gid", member->gid) < 0)
    return -1;
  if ((member->nanoseconds > 0 || member->seconds < 0 || member->seconds > (int64_t)ELEVEN_DIGITS) && add_time(records, member) < 0)
    return -1;
  return add_attributes(records, member) < 0 ? -1 : add_sparse(records, entry);
}

static void set_octal(unsigned char *field, int digits, uint64_t number, uint64_t highest) {
  char text[32];

  snprintf(text, sizeof text, "%0*" PRIo64, digits, number > highest ? 0 : number);
  memcpy(field, text, (size_t)digits);
}

static void set_checksum(unsigned char *block) {
  unsigned sum = 0;

  memset(block + AT_CHECKSUM, ' ', 8);
  for (int index = 0; index < TAR_BLOCK; index++)
    sum += block[index];
  set_octal(block + AT_CHECKSUM, 6, sum, sum);
  block[AT_CHECKSUM + 6] = '\0';
}

static void fill_header(unsigned char *block, char letter, const char *path, const char *link, const struct tar_member *member) {
  static const char version[2] = {'0', '0'};

  memset(block, 0, TAR_BLOCK);
  memcpy(block, path, strnlen(path, NAME_BYTES));
  memcpy(block + AT_LINK, link, strnlen(link, NAME_BYTES));
  set_octal(block + AT_MODE, 7, member->mode, SEVEN_DIGITS);
  set_octal(block + AT_UID, 7, member->uid, SEVEN_DIGITS);
  set_octal(block + AT_GID, 7, member->gid, SEVEN_DIGITS);
  set_octal(block + AT_SIZE, 11, member->size, ELEVEN_DIGITS);
  set_octal(block + AT_TIME, 11, member->seconds < 0 ? 0 : (uint64_t)member->seconds, ELEVEN_DIGITS);
  block[AT_TYPE] = (unsigned char)letter;
  memcpy(block + AT_MAGIC, "ustar", 6);
  memcpy(block + AT_MAGIC + 6, version, sizeof version);
  set_octal(block + AT_MAJOR, 7, member->major, SEVEN_DIGITS);
  set_octal(block + AT_MINOR, 7, member->minor, SEVEN_DIGITS);
  set_checksum(block);
}

static int write_records(struct tar_writer *writer) {
  const struct tar_member header = {.mode = 0644, .size = writer->records.length};
  unsigned char block[TAR_BLOCK];

  if (writer->records.length == 0)
    return 0;
  /* The name is for readers that do not know pax and would extract the header as a file. */
  fill_header(block, 'x', "PaxHeaders.0/attributes", "", &header);
  if (put(writer, block, sizeof block) < 0 || put(writer, writer->records.bytes, writer->records.length) < 0)
    return -1;
  writer->padding = (uint32_t)((TAR_BLOCK - writer->records.length % TAR_BLOCK) % TAR_BLOCK);
  return pad(writer);
}

int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry) {
  static const char letters[] = {[TAR_FILE] = '0',         [TAR_HARD_LINK] = '1', [TAR_SYMLINK] = '2', [TAR_CHARACTER_DEVICE] = '3',
                                 [TAR_BLOCK_DEVICE] = '4', [TAR_DIRECTORY] = '5', [TAR_FIFO] = '6'};
  const struct tar_member *member = entry->member;
  unsigned char block[TAR_BLOCK];
  char path[PATH_MAX + 1];

  if ((size_t)snprintf(path, sizeof path, "%s%s", entry->path, member->type == TAR_DIRECTORY ? "/" : "") >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  if (pad(writer) < 0 || make_records(&writer->records, entry, path) < 0 || write_records(writer) < 0)
    return -1;
  fill_header(block, letters[member->type], member->sparse ? "GNUSparseFile.0/content" : path, entry->link, member);
  writer->content = member->size;
  writer->padding = (uint32_t)((TAR_BLOCK - member->size % TAR_BLOCK) % TAR_BLOCK);
  return put(writer, block, sizeof block);
}

static int append_line(struct buffer *map, uint64_t number) {
  char text[24];
  int length = snprintf(text, sizeof text, "%" PRIu64 "\n", number);

  return buffer_append(map, text, (size_t)length);
}

int tar_make_content_map(const struct tar_member *member, struct buffer *map) {
  static const char zeros[TAR_BLOCK];

  if (append_line(map, member->extent_count) < 0)
    return -1;
  for (size_t index = 0; index < member->extent_count; index++)
    if (append_line(map, member->extents[index].offset) < 0 || append_line(map, member->extents[index].length) < 0)
      return -1;
  return buffer_append(map, zeros, (TAR_BLOCK - map->length % TAR_BLOCK) % TAR_BLOCK);
}
