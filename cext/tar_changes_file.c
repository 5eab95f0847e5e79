/* The content of regular files in the archive of changes, holes left out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tar_changes.h"

static int add_extent(struct changes *changes, uint64_t offset, uint64_t length) {
  struct tar_member *member = &changes->member;

  if (member->extent_count == changes->extent_capacity) {
    size_t capacity = changes->extent_capacity == 0 ? 16 : changes->extent_capacity * 2;
    struct tar_extent *extents = realloc(member->extents, capacity * sizeof *extents);

    if (extents == NULL)
      return -1;
    member->extents = extents;
    changes->extent_capacity = capacity;
  }
  member->extents[member->extent_count++] = (struct tar_extent){offset, length};
  return 0;
}

/* Find the holes of a file. A file without any, or with absurdly many, is written plainly. Returns the bytes of content, or -1. */
static int64_t read_extents(struct changes *changes, int file, const struct stat *status) {
  off_t at = 0, sum = 0;

  if (status->st_blocks * 512 >= status->st_size)
    return status->st_size;
  while (at < status->st_size && changes->member.extent_count < TAR_EXTENT_LIMIT - 1) {
    off_t data = lseek(file, at, SEEK_DATA), hole;

    if (data < 0 || data >= status->st_size)
      break;
    hole = lseek(file, data, SEEK_HOLE);
    if (hole < 0 || hole > status->st_size)
      hole = status->st_size;
    if (add_extent(changes, (uint64_t)data, (uint64_t)(hole - data)) < 0)
      return -1;
    sum += hole - data;
    at = hole;
  }
  if (changes->member.extent_count == TAR_EXTENT_LIMIT - 1)
    return status->st_size;
  /* A piece of no length says where a file ends that ends in a hole. */
  if (at < status->st_size && sum < status->st_size && add_extent(changes, (uint64_t)status->st_size, 0) < 0)
    return -1;
  changes->member.sparse = sum < status->st_size;
  return sum;
}

/* `length` bytes from `offset` on; zeros for what has gone from the file since its header was written. */
static int write_piece(struct changes *changes, int file, off_t offset, uint64_t length) {
  while (length > 0) {
    void *room;
    size_t piece;
    ssize_t got;

    if (tar_write_room(&changes->writer, &room, &piece) < 0)
      return -1;
    if (piece > length)
      piece = (size_t)length;
    got = pread(file, room, piece, offset);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0) {
      memset(room, 0, piece);
      got = (ssize_t)piece;
    }
    tar_wrote(&changes->writer, (size_t)got);
    offset += got;
    length -= (uint64_t)got;
  }
  return 0;
}

int write_file(struct changes *changes, int file, const struct stat *status) {
  struct tar_member *member = &changes->member;
  int64_t content = read_extents(changes, file, status);
  auto_buffer struct buffer map = {0};

  if (content < 0)
    return -1;
  if (!member->sparse)
    return write_header(changes, changes->path.bytes, "") < 0 ? -1 : write_piece(changes, file, 0, member->size);
  if (tar_make_content_map(member, &map) < 0)
    return -1;
  member->size = map.length + (uint64_t)content;
  if (write_header(changes, changes->path.bytes, "") < 0 || tar_write(&changes->writer, map.bytes, map.length) < 0)
    return -1;
  for (size_t index = 0; index < member->extent_count; index++)
    if (write_piece(changes, file, (off_t)member->extents[index].offset, member->extents[index].length) < 0)
      return -1;
  return 0;
}
