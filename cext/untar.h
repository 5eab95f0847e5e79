/* Extraction of one layer. Inside the extractor only; the step itself is declared in plan.h.
 *
 *   untar.c           the loop over members, directory times, counts
 *   untar_path.c      from a name in the archive to a directory descriptor; lower layers
 *   untar_entry.c     making entries of each type
 *   untar_metadata.c  owner, mode, attributes, times
 *
 * Names are cleaned as words first (docker: filepath.Clean): what leaves the layer by ".." is refused. The parent of an entry is then resolved
 * inside the target as in a chroot: symbolic links in the layer count, absolute ones start at the target, and nothing leads out. This is
 * what docker does, and openat2 makes the kernel answer for it. The entry itself is never followed. */
#ifndef OCIRUN_UNTAR_H
#define OCIRUN_UNTAR_H

#include "tar_header.h"
#include "tree.h"

/* flags of the step */
enum { UNTAR_SQUASH = 1, UNTAR_SKIP_DEVICES = 2, UNTAR_DURABLE = 4 };
#define UNTAR_MEMBER_LIMIT (1u << 24)
/* Paths of all directories of a layer, which are remembered for their times. */
#define UNTAR_PATHS_LIMIT ((size_t)512 << 20)

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

/* A directory whose times (and a mode that would shut us out) are set after all else. */
struct untar_directory {
  size_t path; /* offset in paths */
  ino_t inode; /* so that nothing else is touched should the path have changed its meaning */
  int64_t seconds;
  uint32_t nanoseconds;
  uint32_t mode;
  bool set_mode;
};

struct untar {
  struct tar_reader reader;
  int target;
  uint32_t flags;
  const struct plan_string *lowers; /* top first */
  uint32_t lower_count;
  uint64_t member_limit;
  struct buffer path;      /* of the member, cleaned; "" is the target itself */
  int parent;              /* the directory last used, -1 at first, and its path */
  struct buffer parent_path;
  struct buffer paths;
  struct untar_directory *directories;
  size_t directory_count, directory_capacity;
  uint64_t files, bytes, squashed, skipped_devices, skipped_attributes;
};

/* The last component of the member's path. */
const char *untar_name(const struct untar *untar);
/* Clean `raw` as words. NULL, or the reason why it is refused. */
must_check const char *untar_clean(const struct buffer *raw, struct buffer *clean);
/* Open a directory inside the target. An O_PATH descriptor, or -1 with errno. */
must_check int untar_resolve(const struct untar *untar, const char *path);
/* Make untar->parent the directory that holds the member; missing ones are made. */
must_check int untar_enter_parent(struct untar *untar, struct failure *failure);
/* Let `directory` (now owned by untar), whose path is the member's, be the parent of what comes next. */
must_check int untar_keep_parent(struct untar *untar, int directory);

/* Remember to set times (and mode) of a directory at the end. `path` "" is the target. */
must_check int untar_remember(struct untar *untar, const char *path, const struct untar_directory *directory);
/* Set them. */
must_check int untar_finish_directories(struct untar *untar, struct failure *failure);
/* Give an entry the owner, mode, attributes and times of the member. `descriptor` is the open file or directory; -1 for links, devices and fifos.
 * A directory keeps rwx for its owner, and its times, until the end. */
must_check int untar_apply_metadata(struct untar *untar, int descriptor, struct failure *failure);

/* Make what the member says, its parent being entered. */
must_check int untar_make_entry(struct untar *untar, struct failure *failure);
/* A whiteout or an opaque mark. */
must_check int untar_make_whiteout(struct untar *untar, const char *name, struct failure *failure);

#endif
