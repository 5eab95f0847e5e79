/* Reading tar archives: ustar, pax (POSIX.1-2001) and GNU, as a stream. Nothing in an archive is believed; see the limits below.
 *
 *   tar_input.c    bytes from a pipe (or, for the fuzzer, from memory)
 *   tar_header.c   one header block of 512 bytes
 *   tar_pax.c      the records of extended headers
 *   tar_sparse.c   the maps of sparse files: GNU old format, pax 0.0, 0.1 and 1.0
 *   tar_reader.c   from member to member
 */
#ifndef OCIRUN_TAR_HEADER_H
#define OCIRUN_TAR_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "tree.h"

enum { TAR_BLOCK = 512 };
/* The extended headers of one member: long names, attributes, sparse maps. Go's archive/tar, and so docker, stops at the same size. */
#define TAR_EXTENSION_LIMIT (1u << 20)
/* Pieces of one sparse file. */
#define TAR_EXTENT_LIMIT (1u << 20)
#define TAR_INPUT_BYTES (TAR_EXTENSION_LIMIT + 16 * TAR_BLOCK)

enum tar_type { TAR_FILE, TAR_HARD_LINK, TAR_SYMLINK, TAR_CHARACTER_DEVICE, TAR_BLOCK_DEVICE, TAR_DIRECTORY, TAR_FIFO };

/* A piece of a sparse file that has content; between the pieces are holes. */
struct tar_extent {
  uint64_t offset;
  uint64_t length;
};

struct tar_owner_and_time {
  int64_t uid;
  int64_t gid;
  int64_t seconds;
  uint32_t nanoseconds;
};

struct tar_member {
  enum tar_type type;
  struct buffer path; /* as it stands in the archive: not cleaned, may be hostile; holds no NUL */
  struct buffer link; /* target of hard and symbolic links */
  uint32_t mode;    /* permission bits and setuid, setgid, sticky */
  uint32_t uid, gid;
  int64_t seconds; /* modification time */
  uint32_t nanoseconds;
  uint32_t major, minor;
  uint64_t size;      /* bytes of content in the archive */
  uint64_t file_size; /* bytes of the file; larger than `size` when it is sparse */
  bool sparse;
  struct tar_extent *extents; /* sorted, apart, inside file_size, together `size` bytes long */
  size_t extent_count;
  /* name NUL, length as size_t in its bytes, value; again and again. tar_next_attribute walks it. */
  struct buffer attributes;
};

/* What extended headers said about the member that follows them. */
struct tar_extension {
  bool has_path, has_sparse_name, has_link, has_size, has_uid, has_gid, has_time, has_file_size;
  struct buffer path, link;
  uint64_t size, file_size;
  struct tar_owner_and_time values;
  int sparse_major, sparse_minor; /* -1: not said */
  bool has_map;                   /* offsets and lengths were in the header (0.0, 0.1) */
  bool half_extent;               /* a GNU.sparse.offset waits for its numbytes */
  size_t bytes;                   /* of extended headers so far, against TAR_EXTENSION_LIMIT */
};

struct tar_input {
  int descriptor; /* -1: only what is in the buffer */
  unsigned char *buffer;
  size_t start, end, capacity;
  bool ended;
};

struct tar_reader {
  struct tar_input input;
  struct tar_member member;
  struct tar_extension extension;
  struct tar_extension global; /* of 'g' headers; only owner and time are taken */
  size_t extent_capacity;
  uint64_t left;    /* content of the member not read yet */
  uint32_t padding; /* after the content */
  uint64_t members;
};

/* `descriptor` is read in large pieces; it stays the caller's. 0, or -1 with errno ENOMEM. */
must_check int tar_open(struct tar_reader *reader, int descriptor);
/* Read from memory instead; the bytes must stay. */
void tar_open_memory(struct tar_reader *reader, void *bytes, size_t length);
void tar_close(struct tar_reader *reader);

/* Go to the next member. 1: reader->member is filled, 0: the archive has ended (and is read to its last byte), -1: failure. */
must_check int tar_next(struct tar_reader *reader, struct failure *failure);
/* The next piece of the member's content, at most `wanted` bytes: 1 with the piece (valid until the next call), 0 at the end of the content. */
must_check int tar_content(struct tar_reader *reader, uint64_t wanted, const unsigned char **bytes, size_t *length, struct failure *failure);
/* Walk the extended attributes: start with *at = 0; false when there are no more. */
bool tar_next_attribute(const struct tar_member *member, size_t *at, const char **name, const void **value, size_t *length);

/* A malformed archive: EBADMSG on the member at hand. Always -1. */
int tar_broken(const struct tar_reader *reader, struct failure *failure, const char *reason);

/* The parts, below tar_next. Reasons are phrases for tar_broken. */

/* Make `count` bytes (<= capacity) contiguous at buffer + start. 1: they are there; 0: the input ended before; -1 with errno. */
must_check int tar_need(struct tar_input *input, size_t count);
/* The header's fields into member, its type letter into *letter. NULL, or the reason why it is none. */
must_check const char *tar_decode_header(const unsigned char *block, struct tar_member *member, char *letter);
bool tar_is_zero_block(const unsigned char *block);
/* Octal with blanks, or GNU's base 256. NULL, or the reason. */
must_check const char *tar_number(const unsigned char *field, size_t width, int64_t *value);
/* Decimal digits, all of them; false when it is none or does not fit. */
bool tar_decimal(const char *digits, size_t length, uint64_t *value);

/* Take the records of one 'x' header (or, with `global`, of a 'g' header). NULL, or the reason. */
must_check const char *tar_take_records(struct tar_reader *reader, const char *bytes, size_t length, bool global);
void tar_reset_extension(struct tar_extension *extension);

must_check const char *tar_add_extent(struct tar_reader *reader, uint64_t offset, uint64_t length);
/* GNU.sparse.map: "offset,length,offset,length". */
must_check const char *tar_take_map(struct tar_reader *reader, const char *text, size_t length);
/* The map of an old GNU sparse header, and of the blocks that continue it. 0 or -1. */
must_check int tar_read_old_map(struct tar_reader *reader, const unsigned char *block, struct failure *failure);
/* The map at the start of the content (pax 1.0). 0 or -1. */
must_check int tar_read_content_map(struct tar_reader *reader, struct failure *failure);
/* Is the map sound for file_size and the content? NULL, or the reason. */
must_check const char *tar_check_map(const struct tar_member *member, uint64_t content);

#endif
