/* The records of pax extended headers (POSIX.1-2001, "pax Header Block"): "LENGTH KEYWORD=VALUE\n", LENGTH counting all of it. */
#include <stdlib.h>
#include <string.h>

#include "tar_header.h"

/* One record's value: bytes that are not ended by a NUL. */
struct value {
  const char *bytes;
  size_t length;
};

void tar_reset_extension(struct tar_extension *extension) {
  struct buffer path = extension->path, link = extension->link;

  buffer_cut(&path, 0);
  buffer_cut(&link, 0);
  *extension = (struct tar_extension){.path = path, .link = link, .sparse_major = -1, .sparse_minor = -1};
}

bool tar_decimal(const char *digits, size_t length, uint64_t *value) {
  uint64_t number = 0;

  for (size_t index = 0; index < length; index++) {
    uint64_t digit = (uint64_t)(digits[index] - '0');

    if (digits[index] < '0' || digits[index] > '9' || number > (INT64_MAX - digit) / 10)
      return false;
    number = number * 10 + digit;
  }
  *value = number;
  return length > 0;
}

static const char *take_number(struct value value, uint64_t *number) {
  return tar_decimal(value.bytes, value.length, number) ? NULL : "a number of its extended header is none";
}

static const char *take_id(struct value value, int64_t *id) {
  uint64_t number = 0;

  if (!tar_decimal(value.bytes, value.length, &number) || number >= UINT32_MAX)
    return "its owner is out of range";
  *id = (int64_t)number;
  return NULL;
}

/* Seconds since 1970, with sign and decimal fraction; digits after the ninth are dropped, towards the past. */
static const char *take_time(struct value value, struct tar_owner_and_time *to) {
  const char *next = value.bytes, *end = value.bytes + value.length, *point;
  bool negative = next < end && *next == '-', rest = false;
  uint64_t seconds = 0;
  uint32_t nanoseconds = 0, scale = 100000000;

  next += negative;
  point = memchr(next, '.', (size_t)(end - next));
  if (!tar_decimal(next, (size_t)((point == NULL ? end : point) - next), &seconds))
    return "its time is no number";
  for (const char *digit = point == NULL ? end : point + 1; digit < end; digit++) {
    if (*digit < '0' || *digit > '9')
      return "its time is no number";
    rest = rest || (scale == 0 && *digit != '0');
    nanoseconds += (uint32_t)(*digit - '0') * scale;
    scale /= 10;
  }
  to->seconds = (int64_t)seconds;
  to->nanoseconds = nanoseconds;
  if (negative) {
    nanoseconds += rest;
    to->seconds = -(int64_t)seconds - (nanoseconds > 0);
    to->nanoseconds = nanoseconds > 0 ? 1000000000 - nanoseconds : 0;
  }
  return NULL;
}

static const char *take_name(struct value value, struct buffer *name, bool *has) {
  if (memchr(value.bytes, '\0', value.length) != NULL)
    return "its name holds a NUL byte";
  if (value.length >= PATH_MAX)
    return "its name is too long";
  if (buffer_set(name, value.bytes, value.length) < 0)
    return "out of memory";
  *has = true;
  return NULL;
}

static const char *take_attribute(struct tar_reader *reader, struct value name, struct value value) {
  struct buffer *to = &reader->member.attributes;

  if (name.length == 0 || memchr(name.bytes, '\0', name.length) != NULL)
    return "an extended attribute has a name that is none";
  if (buffer_append(to, name.bytes, name.length) < 0 || buffer_append(to, "", 1) < 0 || buffer_append(to, &value.length, sizeof value.length) < 0 ||
      buffer_append(to, value.bytes, value.length) < 0)
    return "out of memory";
  return NULL;
}

bool tar_next_attribute(const struct tar_member *member, size_t *at, const char **name, const void **value, size_t *length) {
  const struct buffer *from = &member->attributes;

  if (*at >= from->length)
    return false;
  *name = from->bytes + *at;
  *at += strlen(*name) + 1;
  memcpy(length, from->bytes + *at, sizeof *length);
  *at += sizeof *length;
  *value = from->bytes + *at;
  *at += *length;
  return true;
}

static bool is(struct value keyword, const char *name) {
  return keyword.length == strlen(name) && memcmp(keyword.bytes, name, keyword.length) == 0;
}

/* GNU.sparse.*: offset and numbytes come in pairs (0.0), map has them all (0.1), major and minor announce a map in the content (1.0). */
static const char *take_sparse(struct tar_reader *reader, struct value keyword, struct value value) {
  struct tar_extension *extension = &reader->extension;
  struct tar_member *member = &reader->member;
  uint64_t number = 0;
  const char *reason;

  if (is(keyword, "GNU.sparse.name")) {
    extension->has_sparse_name = true;
    return take_name(value, &extension->path, &extension->has_path);
  }
  if (is(keyword, "GNU.sparse.map")) {
    extension->has_map = true;
    member->extent_count = 0;
    return tar_take_map(reader, value.bytes, value.length);
  }
  reason = take_number(value, &number);
  if (reason != NULL)
    return reason;
  if (is(keyword, "GNU.sparse.major") || is(keyword, "GNU.sparse.minor")) {
    int *version = is(keyword, "GNU.sparse.major") ? &extension->sparse_major : &extension->sparse_minor;

    *version = number > 9 ? 9 : (int)number;
  } else if (is(keyword, "GNU.sparse.size") || is(keyword, "GNU.sparse.realsize")) {
    extension->has_file_size = true;
    extension->file_size = number;
  } else if (is(keyword, "GNU.sparse.offset")) {
    extension->has_map = extension->half_extent = true;
    return tar_add_extent(reader, number, 0);
  } else if (is(keyword, "GNU.sparse.numbytes")) {
    if (!extension->half_extent)
      return "its sparse map is broken";
    extension->half_extent = false;
    member->extents[member->extent_count - 1].length = number;
  }
  return NULL;
}

static const char *take_record(struct tar_reader *reader, struct value keyword, struct value value, bool global) {
  static const char attribute[] = "SCHILY.xattr.";
  struct tar_extension *extension = global ? &reader->global : &reader->extension;
  size_t prefix = sizeof attribute - 1;

  if (is(keyword, "uid")) {
    extension->has_uid = value.length > 0;
    return value.length > 0 ? take_id(value, &extension->values.uid) : NULL;
  }
  if (is(keyword, "gid")) {
    extension->has_gid = value.length > 0;
    return value.length > 0 ? take_id(value, &extension->values.gid) : NULL;
  }
  if (is(keyword, "mtime")) {
    extension->has_time = value.length > 0;
    return value.length > 0 ? take_time(value, &extension->values) : NULL;
  }
  /* Of a global header nothing else: a name or a size that all members share makes no sense. */
  if (global)
    return NULL;
  if (keyword.length > prefix && memcmp(keyword.bytes, attribute, prefix) == 0)
    return take_attribute(reader, (struct value){keyword.bytes + prefix, keyword.length - prefix}, value);
  if (value.length == 0)
    return NULL; /* the header's own value stands */
  if (is(keyword, "path"))
    /* GNU.sparse.name is the real name; path is then a stand-in for readers that know no sparse files. */
    return extension->has_sparse_name ? NULL : take_name(value, &extension->path, &extension->has_path);
  if (is(keyword, "linkpath"))
    return take_name(value, &extension->link, &extension->has_link);
  if (is(keyword, "size")) {
    extension->has_size = true;
    return take_number(value, &extension->size);
  }
  if (keyword.length > 11 && memcmp(keyword.bytes, "GNU.sparse.", 11) == 0)
    return take_sparse(reader, keyword, value);
  return NULL;
}

const char *tar_take_records(struct tar_reader *reader, const char *bytes, size_t length, bool global) {
  const char *reason = NULL;

  while (length > 0 && reason == NULL) {
    const char *space = memchr(bytes, ' ', length < 20 ? length : 20), *equals;
    uint64_t size = 0;

    if (space == NULL || !tar_decimal(bytes, (size_t)(space - bytes), &size) || size > length)
      return "its extended header is broken";
    if (size < (size_t)(space - bytes) + 3 || bytes[size - 1] != '\n')
      return "its extended header is broken";
    space++;
    equals = memchr(space, '=', (size_t)(bytes + size - 1 - space));
    if (equals == NULL || equals == space)
      return "its extended header is broken";
    reason = take_record(reader, (struct value){space, (size_t)(equals - space)},
                         (struct value){equals + 1, (size_t)(bytes + size - 1 - (equals + 1))}, global);
    bytes += size;
    length -= size;
  }
  return reason;
}
