/* From member to member: extended headers are gathered, the member's own header is completed by them, content is handed out. */
#include <errno.h>
#include <string.h>

#include "tar_header.h"

int tar_broken(const struct tar_reader *reader, struct failure *failure, const char *reason) {
  const struct tar_extension *extension = &reader->extension;
  const char *name = buffer_text(extension->has_path ? &extension->path : &reader->member.path);

  return fail_because(failure, EBADMSG, name[0] == '\0' ? "tar header" : name, reason);
}

/* Make `count` bytes available, or say that the archive is cut off. */
static int need(struct tar_reader *reader, size_t count, struct failure *failure) {
  int there = tar_need(&reader->input, count);

  if (there < 0)
    return fail(failure, "the archive");
  return there > 0 ? 0 : tar_broken(reader, failure, "the archive is cut off");
}

/* Skip what is left of the member's content. */
static int skip_content(struct tar_reader *reader, struct failure *failure) {
  const unsigned char *bytes;
  size_t length;
  int more;

  while ((more = tar_content(reader, UINT64_MAX, &bytes, &length, failure)) > 0)
    ;
  return more;
}

int tar_content(struct tar_reader *reader, uint64_t wanted, const unsigned char **bytes, size_t *length, struct failure *failure) {
  struct tar_input *input = &reader->input;
  size_t there;

  if (reader->left == 0) {
    if (reader->padding > 0 && need(reader, reader->padding, failure) < 0)
      return -1;
    input->start += reader->padding;
    reader->padding = 0;
    return 0;
  }
  if (need(reader, 1, failure) < 0)
    return -1;
  there = input->end - input->start;
  if (there > reader->left)
    there = (size_t)reader->left;
  if (there > wanted)
    there = (size_t)wanted;
  *bytes = input->buffer + input->start;
  *length = there;
  input->start += there;
  reader->left -= there;
  return 1;
}

static uint32_t padding_after(uint64_t size) {
  return (uint32_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* An extended header or long name: all of its content at once, which stays valid until the input is read again. NULL on failure. */
static const char *take_payload(struct tar_reader *reader, size_t *length, struct failure *failure) {
  struct tar_input *input = &reader->input;
  uint64_t size = reader->member.size;

  if (size > TAR_EXTENSION_LIMIT - reader->extension.bytes) {
    tar_broken(reader, failure, "its extended headers are too large");
    return NULL;
  }
  reader->extension.bytes += size;
  if (need(reader, (size_t)size + padding_after(size), failure) < 0)
    return NULL;
  input->start += (size_t)size + padding_after(size);
  *length = (size_t)size;
  return (const char *)input->buffer + input->start - size - padding_after(size);
}

/* GNU's 'L' and 'K': the name as content, ended by a NUL. */
static const char *take_long_name(struct buffer *name, bool *has, const char *bytes, size_t length) {
  length = strnlen(bytes, length);
  if (length >= PATH_MAX)
    return "its name is too long";
  *has = true;
  return buffer_set(name, bytes, length) < 0 ? "out of memory" : NULL;
}

static int take_extension(struct tar_reader *reader, char letter, struct failure *failure) {
  struct tar_extension *extension = &reader->extension;
  const char *reason = NULL;
  size_t length = 0;
  const char *bytes = take_payload(reader, &length, failure);

  if (bytes == NULL)
    return -1;
  if (letter == 'L')
    reason = take_long_name(&extension->path, &extension->has_path, bytes, length);
  else if (letter == 'K')
    reason = take_long_name(&extension->link, &extension->has_link, bytes, length);
  else if (letter != 'V')
    reason = tar_take_records(reader, bytes, length, letter == 'g');
  return reason == NULL ? 0 : tar_broken(reader, failure, reason);
}

/* Which type a letter stands for; false for those that no layer may have. 'D' is GNU's directory with a list of names as content. */
static bool type_of(char letter, const struct tar_member *member, enum tar_type *type) {
  static const char letters[] = "0\0007S12345D6";
  static const enum tar_type types[] = {TAR_FILE,             TAR_FILE,         TAR_FILE,      TAR_FILE,      TAR_HARD_LINK, TAR_SYMLINK,
                                        TAR_CHARACTER_DEVICE, TAR_BLOCK_DEVICE, TAR_DIRECTORY, TAR_DIRECTORY, TAR_FIFO};
  const char *at = memchr(letters, letter, sizeof letters - 1);
  const struct buffer *path = &member->path;

  if (at == NULL)
    return false;
  *type = types[at - letters];
  /* Before ustar a directory was a file whose name ends in a slash. */
  if (letter == '\0' && path->length > 0 && path->bytes[path->length - 1] == '/')
    *type = TAR_DIRECTORY;
  return true;
}

static int swap_name(struct buffer *to, struct buffer *from) {
  struct buffer other = *to;

  *to = *from;
  *from = other;
  return 0;
}

/* Let extended headers override the member's own; the local ones come after the global. */
static void apply_extensions(struct tar_reader *reader) {
  struct tar_extension *extension = &reader->extension;
  struct tar_member *member = &reader->member;
  const struct tar_extension *const both[] = {&reader->global, extension};

  for (int index = 0; index < 2; index++) {
    const struct tar_owner_and_time *values = &both[index]->values;

    if (both[index]->has_uid)
      member->uid = (uint32_t)values->uid;
    if (both[index]->has_gid)
      member->gid = (uint32_t)values->gid;
    if (both[index]->has_time) {
      member->seconds = values->seconds;
      member->nanoseconds = values->nanoseconds;
    }
  }
  if (extension->has_size)
    member->size = extension->size;
  if (extension->has_path)
    swap_name(&member->path, &extension->path);
  if (extension->has_link)
    swap_name(&member->link, &extension->link);
  extension->has_path = extension->has_link = false;
}

static int read_map(struct tar_reader *reader, char letter, const unsigned char *block, struct failure *failure) {
  struct tar_extension *extension = &reader->extension;
  struct tar_member *member = &reader->member;
  bool in_content = extension->sparse_major == 1 && extension->sparse_minor == 0;
  const char *reason;

  if (extension->sparse_major > 1 || (extension->sparse_major == 1 && extension->sparse_minor != 0))
    return tar_broken(reader, failure, "its sparse format is unknown");
  member->sparse = letter == 'S' || in_content || extension->has_map;
  if (!member->sparse)
    return 0;
  if (letter == 'S' && tar_read_old_map(reader, block, failure) < 0)
    return -1;
  if (letter != 'S') {
    if (!extension->has_file_size || extension->half_extent)
      return tar_broken(reader, failure, "its sparse map is broken");
    member->file_size = extension->file_size;
  }
  if (in_content && tar_read_content_map(reader, failure) < 0)
    return -1;
  reason = tar_check_map(member, reader->left);
  return reason == NULL ? 0 : tar_broken(reader, failure, reason);
}

/* The member's own header has been decoded into reader->member: complete it. */
static int complete(struct tar_reader *reader, char letter, const unsigned char *header, struct failure *failure) {
  struct tar_member *member = &reader->member;
  unsigned char block[TAR_BLOCK];

  memcpy(block, header, sizeof block); /* reading on moves the buffer */
  apply_extensions(reader);
  if (!type_of(letter, member, &member->type))
    return tar_broken(reader, failure, "its type is unknown");
  if (member->type != TAR_FILE && letter != 'D')
    member->size = 0; /* links, devices and directories have no content, whatever their header says */
  reader->left = member->size;
  reader->padding = padding_after(member->size);
  member->file_size = member->size;
  if (member->type == TAR_FILE && read_map(reader, letter, block, failure) < 0)
    return -1;
  if (!member->sparse)
    member->extent_count = 0;
  reader->members++;
  return 1;
}

/* After the end mark anything may follow (padding to a tape's record): read it, so that the writer of the pipe can finish. */
static int drain(struct tar_reader *reader, struct failure *failure) {
  struct tar_input *input = &reader->input;

  do
    input->start = input->end;
  while (tar_need(input, 1) > 0);
  return input->ended ? 0 : fail(failure, "the archive");
}

static void forget_member(struct tar_reader *reader) {
  struct tar_member *member = &reader->member;

  tar_reset_extension(&reader->extension);
  buffer_cut(&member->attributes, 0);
  buffer_cut(&member->path, 0);
  member->extent_count = 0;
  member->sparse = false;
}

int tar_next(struct tar_reader *reader, struct failure *failure) {
  struct tar_input *input = &reader->input;

  if (skip_content(reader, failure) < 0)
    return -1;
  forget_member(reader);
  for (;;) {
    char letter = 0;
    const char *reason;
    const unsigned char *block;
    int there = tar_need(input, TAR_BLOCK);

    if (there < 0)
      return fail(failure, "the archive");
    if (there == 0 && input->end == input->start && reader->extension.bytes == 0)
      return 0; /* no end mark; writers exist that leave it out */
    if (there == 0)
      return tar_broken(reader, failure, "the archive is cut off");
    block = input->buffer + input->start;
    if (tar_is_zero_block(block)) {
      if (reader->extension.bytes > 0)
        return tar_broken(reader, failure, "an extended header without a member");
      return drain(reader, failure);
    }
    reason = tar_decode_header(block, &reader->member, &letter);
    if (reason != NULL)
      return tar_broken(reader, failure, reason);
    input->start += TAR_BLOCK;
    if (letter == '\0' || strchr("xXgLKV", letter) == NULL)
      return complete(reader, letter, block, failure);
    if (take_extension(reader, letter, failure) < 0)
      return -1;
  }
}
