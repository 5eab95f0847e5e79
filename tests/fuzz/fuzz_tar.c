/* Fuzz target: the reader of tar archives. What it gives out is checked against what tar_header.h promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tar_header.h"
#include "untar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void promise(bool kept) {
  if (!kept)
    abort();
}

/* A cleaned path has no empty, "." or ".." component, and is relative. */
static void check_clean(const struct buffer *raw) {
  struct buffer clean = {0};

  if (untar_clean(raw, &clean) == NULL) {
    const char *next = buffer_text(&clean);

    promise(strlen(next) == clean.length && clean.length < PATH_MAX);
    while (*next != '\0') {
      size_t length = strcspn(next, "/");

      promise(length > 0 && !(length == 1 && next[0] == '.') && !(length == 2 && next[0] == '.' && next[1] == '.'));
      next += length;
      promise(*next == '\0' || next[1] != '\0');
      next += *next == '/';
    }
  }
  buffer_free(&clean);
}

static void check_member(const struct tar_member *member) {
  uint64_t end = 0, sum = 0;
  const char *name;
  const void *value;
  size_t length, total = 0;

  promise(strlen(buffer_text(&member->path)) == member->path.length && strlen(buffer_text(&member->link)) == member->link.length);
  promise(member->path.length < PATH_MAX && member->link.length < PATH_MAX);
  promise(member->mode <= 07777 && member->nanoseconds < 1000000000 && member->uid != UINT32_MAX && member->gid != UINT32_MAX);
  promise(member->size <= INT64_MAX && member->file_size <= INT64_MAX);
  for (size_t index = 0; index < member->extent_count; index++) {
    promise(member->extents[index].offset >= end);
    end = member->extents[index].offset + member->extents[index].length;
    sum += member->extents[index].length;
    promise(end <= member->file_size);
  }
  promise(!member->sparse || member->type == TAR_FILE);
  promise(member->sparse || member->type != TAR_FILE || member->file_size == member->size);
  promise(!member->sparse || sum <= member->size);
  for (size_t at = 0; tar_next_attribute(member, &at, &name, &value, &length);) {
    promise(name[0] != '\0' && at <= member->attributes.length);
    total += length;
  }
  promise(total <= TAR_EXTENSION_LIMIT);
  check_clean(&member->path);
  check_clean(&member->link);
}

static void read_all(struct tar_reader *reader) {
  struct failure failure;
  volatile unsigned char last = 0;

  while (tar_next(reader, &failure) == 1) {
    const unsigned char *bytes;
    size_t length;
    uint64_t sum = 0, promised = reader->left;

    check_member(&reader->member);
    while (tar_content(reader, 1000, &bytes, &length, &failure) == 1) {
      promise(length > 0 && length <= 1000);
      last = bytes[length - 1];
      sum += length;
    }
    promise(sum <= promised);
  }
  (void)last;
  tar_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *bytes = malloc(size + 1); /* of its own, for the sanitizer to watch its end */
  struct tar_reader reader;
  int file;

  if (bytes == NULL)
    return 0;
  memcpy(bytes, data, size);
  tar_open_memory(&reader, bytes, size);
  read_all(&reader);
  free(bytes);
  /* Now and then through a descriptor, where the buffer moves. */
  if (size % 16 != 0)
    return 0;
  file = memfd_create("archive", MFD_CLOEXEC);
  if (file >= 0 && write_all(file, data, size) == 0 && lseek(file, 0, SEEK_SET) == 0 && tar_open(&reader, file) == 0)
    read_all(&reader);
  close(file);
  return 0;
}
