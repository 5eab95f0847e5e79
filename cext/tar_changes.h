/* The archive of changes being written. Inside tar_changes.c, tar_changes_member.c and tar_changes_file.c only. */
#ifndef OCIRUN_TAR_CHANGES_H
#define OCIRUN_TAR_CHANGES_H

#include "tar_writer.h"
#include "tree_changes.h"

struct changes {
  struct tar_writer writer;
  struct link_table links;
  struct walk walk;
  struct changed_tree tree;
  uint32_t flags;
  struct tar_member member; /* of the entry at hand */
  size_t extent_capacity;
  struct buffer path;
  struct buffer names; /* scratch */
  struct buffer value; /* scratch */
  bool name_is_reserved;
};

/* What changes->member.type is for a file of this mode; false for those that no archive holds. */
bool set_member_type(struct changes *changes, mode_t mode);
/* The rest of changes->member, from the entry at hand of the walk. 0, or -1 with errno. */
must_check int fill_member(struct changes *changes, const struct stat *status);
/* Header and content of a regular file. 0, or -1 with errno. */
must_check int write_file(struct changes *changes, int file, const struct stat *status);
must_check int write_header(struct changes *changes, const char *path, const char *link);

#endif
