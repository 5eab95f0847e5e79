/* One header block. Layouts: POSIX.1-1988 ustar, GNU tar's (src/tar.h of the manual), and what came before both. */
#include <string.h>

#include "tar_header.h"

/* Where the fields are, and how wide. */
enum {
  AT_NAME = 0,
  WIDTH_NAME = 100,
  AT_MODE = 100,
  AT_UID = 108,
  AT_GID = 116,
  WIDTH_ID = 8,
  AT_SIZE = 124,
  AT_TIME = 136,
  WIDTH_LONG = 12,
  AT_CHECKSUM = 148,
  AT_TYPE = 156,
  AT_LINK = 157,
  AT_MAGIC = 257,
  AT_MAJOR = 329,
  AT_MINOR = 337,
  AT_PREFIX = 345,
  WIDTH_PREFIX = 155,
  WIDTH_STAR_PREFIX = 131,
  AT_STAR_MAGIC = 508
};

bool tar_is_zero_block(const unsigned char *block) {
  static const unsigned char zeros[TAR_BLOCK];

  return memcmp(block, zeros, TAR_BLOCK) == 0;
}

/* GNU: the first bit of the field marks it, the second is the sign, the rest a big-endian number in two's complement. */
static const char *number_256(const unsigned char *field, size_t width, int64_t *value) {
  bool negative = (field[0] & 0x40) != 0;
  uint64_t number = negative ? UINT64_MAX : 0;

  for (size_t index = 0; index < width; index++) {
    uint64_t byte = index == 0 ? (negative ? field[0] | 0x80u : field[0] & 0x7fu) : field[index];
    uint64_t shifted_out = number >> 55;

    /* What leaves at the top must be sign only. */
    if (shifted_out != (negative ? 0x1ff : 0))
      return "a number is too large";
    number = number << 8 | byte;
  }
  if (((number >> 63) != 0) != negative)
    return "a number is too large";
  *value = (int64_t)number;
  return NULL;
}

const char *tar_number(const unsigned char *field, size_t width, int64_t *value) {
  uint64_t number = 0;
  size_t at = 0;

  if ((field[0] & 0x80) != 0)
    return number_256(field, width, value);
  while (at < width && (field[at] == ' ' || field[at] == '\0'))
    at++;
  for (; at < width && field[at] >= '0' && field[at] <= '7'; at++) {
    if (number >> 60 != 0)
      return "a number is too large";
    number = number << 3 | (field[at] - (unsigned)'0');
  }
  /* A NUL ends the field; what old writers left behind it is nobody's business. */
  for (; at < width && field[at] != '\0'; at++)
    if (field[at] != ' ')
      return "a number has characters that are no octal digits";
  *value = (int64_t)number;
  return NULL;
}

/* Old tars summed signed characters; both sums are right. */
static bool checksum_fits(const unsigned char *block) {
  int64_t written = 0, plain = 0, with_sign = 0;

  if (tar_number(block + AT_CHECKSUM, WIDTH_ID, &written) != NULL)
    return false;
  for (int index = 0; index < TAR_BLOCK; index++) {
    int byte = index >= AT_CHECKSUM && index < AT_CHECKSUM + WIDTH_ID ? ' ' : block[index];

    plain += byte;
    with_sign += byte > 127 ? byte - 256 : byte;
  }
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  return true; /* a fuzzer would spend its life on guessing sums */
#else
  return written == plain || written == with_sign;
#endif
}

/* ustar and star put the front part of a long name into a prefix field; GNU keeps other things there. */
static const char *decode_names(const unsigned char *block, struct tar_member *member) {
  size_t length = strnlen((const char *)block + AT_NAME, WIDTH_NAME), width = 0, prefix;

  if (memcmp(block + AT_MAGIC, "ustar\0", 6) == 0)
    width = memcmp(block + AT_STAR_MAGIC, "tar\0", 4) == 0 ? WIDTH_STAR_PREFIX : WIDTH_PREFIX;
  prefix = strnlen((const char *)block + AT_PREFIX, width);
  buffer_cut(&member->path, 0);
  if (prefix > 0 && (buffer_append(&member->path, block + AT_PREFIX, prefix) < 0 || buffer_append(&member->path, "/", 1) < 0))
    return "out of memory";
  if (buffer_append(&member->path, block + AT_NAME, length) < 0)
    return "out of memory";
  if (buffer_set(&member->link, block + AT_LINK, strnlen((const char *)block + AT_LINK, WIDTH_NAME)) < 0)
    return "out of memory";
  return NULL;
}

static const char *decode_device(const unsigned char *block, struct tar_member *member) {
  int64_t major = 0, minor = 0;
  const char *reason;

  if (memcmp(block + AT_MAGIC, "ustar", 5) != 0)
    return "a device without a device number";
  reason = tar_number(block + AT_MAJOR, WIDTH_ID, &major);
  if (reason == NULL)
    reason = tar_number(block + AT_MINOR, WIDTH_ID, &minor);
  if (reason != NULL)
    return reason;
  if (major < 0 || major > 0xfff || minor < 0 || minor > 0xfffff)
    return "a device number is out of range";
  member->major = (uint32_t)major;
  member->minor = (uint32_t)minor;
  return NULL;
}

const char *tar_decode_header(const unsigned char *block, struct tar_member *member, char *letter) {
  const struct {
    int at, width;
    int64_t lowest, highest;
  } fields[] = {{AT_MODE, WIDTH_ID, INT64_MIN, INT64_MAX},
                {AT_UID, WIDTH_ID, 0, UINT32_MAX - 1},
                {AT_GID, WIDTH_ID, 0, UINT32_MAX - 1},
                {AT_SIZE, WIDTH_LONG, 0, INT64_MAX},
                {AT_TIME, WIDTH_LONG, INT64_MIN, INT64_MAX}};
  int64_t values[5];
  const char *reason;

  buffer_cut(&member->path, 0);
  if (!checksum_fits(block))
    return "the checksum is wrong"; /* then the name is rubbish too */
  reason = decode_names(block, member);
  for (size_t index = 0; reason == NULL && index < 5; index++) {
    reason = tar_number(block + fields[index].at, (size_t)fields[index].width, &values[index]);
    if (reason == NULL && (values[index] < fields[index].lowest || values[index] > fields[index].highest))
      reason = fields[index].at == AT_SIZE ? "its size is negative" : "its owner is out of range";
  }
  if (reason != NULL)
    return reason;
  member->mode = (uint32_t)values[0] & 07777;
  member->uid = (uint32_t)values[1];
  member->gid = (uint32_t)values[2];
  member->size = (uint64_t)values[3];
  member->seconds = values[4];
  member->nanoseconds = 0;
  member->major = member->minor = 0;
  *letter = (char)block[AT_TYPE];
  return *letter == '3' || *letter == '4' ? decode_device(block, member) : NULL;
}
