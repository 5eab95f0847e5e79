/* Writing reproducible pax archives: ustar headers, and an extended header only for what ustar cannot say. */
#ifndef OCIRUN_TAR_WRITER_H
#define OCIRUN_TAR_WRITER_H

#include "tar_header.h"
#include "tree.h"

struct tar_writer {
  int output;
  unsigned char *buffer;
  size_t used;
  uint64_t content;      /* of the member at hand, still to come */
  uint32_t padding;      /* after it */
  struct buffer records; /* of its extended header */
};

/* What the header says. `member` holds type, mode, owner, times, device numbers, size, sparse map and attributes, as tar_next would
 * give them; its path and link are not used. */
struct tar_entry {
  const char *path; /* without a slash at the end; "." is the root */
  const char *link; /* target of a hard or symbolic link, else "" */
  const struct tar_member *member;
};

/* 0, or -1 with errno ENOMEM. */
must_check int tar_writer_open(struct tar_writer *writer, int output);
/* Write header and extended header. member->size bytes of content must follow, by tar_write. 0, or -1 with errno. */
must_check int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry);
must_check int tar_write(struct tar_writer *writer, const void *bytes, size_t length);
/* Room in the writer's buffer to read content into: at least one byte. tar_wrote says how many bytes were put there. */
must_check int tar_write_room(struct tar_writer *writer, void **room, size_t *length);
void tar_wrote(struct tar_writer *writer, size_t length);
/* The end mark, and everything flushed. */
must_check int tar_writer_finish(struct tar_writer *writer);
void tar_writer_close(struct tar_writer *writer);

/* The sparse map as pax 1.0 puts it in front of the content, padded to blocks. 0 or -1 with errno. */
must_check int tar_make_content_map(const struct tar_member *member, struct buffer *map);

#endif
