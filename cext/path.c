/* Paths below a container's root. Every look-up is one openat2 that the kernel confines; nothing is resolved by us and then used by name. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "execution.h"
#include "system_calls.h"

/* As many dangling links as the kernel itself would follow. */
enum { MAX_LINKS = 40 };

static int open_made_directory(int root, const char *path, int links, struct failure *failure);

/* Cut `path` into the part before its last component and that component. The root itself has none: EINVAL. */
static int split(const char *path, char parent[PATH_MAX], char name[NAME_MAX + 1]) {
  size_t end = strlen(path), start;

  while (end > 0 && path[end - 1] == '/')
    end--;
  start = end;
  while (start > 0 && path[start - 1] != '/')
    start--;
  if (end == 0 || end - start > NAME_MAX) {
    errno = end == 0 ? EINVAL : ENAMETOOLONG;
    return -1;
  }
  memcpy(name, path + start, end - start);
  name[end - start] = '\0';
  if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    errno = EINVAL;
    return -1;
  }
  while (start > 0 && path[start - 1] == '/')
    start--;
  memcpy(parent, path, start);
  parent[start] = '\0';
  if (start == 0)
    memcpy(parent, "/", 2);
  return 0;
}

/* The link at the end of `path` leads nowhere: where that would be, as a path below the root. The name begins at `start`; `directory`
 * holds it. */
static int follow_link(int directory, const char *path, size_t start, char behind[PATH_MAX]) {
  char text[PATH_MAX];
  ssize_t length = readlinkat(directory, path + start, text, sizeof text - 1);

  if (length < 0) {
    errno = errno == EINVAL ? ENOTDIR : errno; /* no link, so a file stands where a directory should be */
    return -1;
  }
  text[length] = '\0';
  if (text[0] == '/')
    start = 0;
  if (start + (size_t)length >= PATH_MAX) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(behind, path, start);
  memcpy(behind + start, text, (size_t)length + 1);
  return 0;
}

/* One more component of a path: `prefix` ends with it, its name begins at `start`, and `above` is what holds it. */
static int open_or_make(int root, int above, const char *prefix, size_t start, int links, struct failure *failure) {
  char behind[PATH_MAX];
  int descriptor = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);

  if (descriptor < 0 && errno == ENOENT && (mkdirat(above, prefix + start, 0755) == 0 || errno == EEXIST))
    descriptor = open_in_root(root, prefix, O_PATH | O_DIRECTORY, 0);
  if (descriptor >= 0)
    return descriptor;
  if (errno != ENOENT || follow_link(above, prefix, start, behind) < 0)
    return fail(failure, prefix);
  return open_made_directory(root, behind, links + 1, failure);
}

/* Not recursive but for links: a path may have two thousand components. */
static int open_made_directory(int root, const char *path, int links, struct failure *failure) {
  char prefix[PATH_MAX];
  size_t start = 0, end = 0;
  int next, above = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);

  if (above >= 0)
    return above;
  if (errno != ENOENT)
    return fail(failure, path);
  if (links > MAX_LINKS)
    return fail_with(failure, ELOOP, path);
  above = open_in_root(root, "/", O_PATH | O_DIRECTORY, 0);
  while (above >= 0 && path[start = end + strspn(path + end, "/")] != '\0') {
    end = start + strcspn(path + start, "/");
    memcpy(prefix, path, end);
    prefix[end] = '\0';
    next = open_or_make(root, above, prefix, start, links, failure);
    close_quietly(&above);
    if (next < 0)
      return -1;
    above = next;
  }
  return above < 0 ? fail(failure, "/") : above;
}

int open_parent(int root, const char *path, char name[NAME_MAX + 1], struct failure *failure) {
  char parent[PATH_MAX];

  if (split(path, parent, name) < 0)
    return fail(failure, path);
  return open_made_directory(root, parent, 0, failure);
}

static int open_made_file(int root, const char *path, int links, struct failure *failure) {
  char parent[PATH_MAX], behind[PATH_MAX], name[NAME_MAX + 1];
  auto_close int above = -1;
  int descriptor = open_in_root(root, path, O_PATH, 0);

  if (descriptor >= 0)
    return descriptor;
  if (errno != ENOENT)
    return fail(failure, path);
  if (links > MAX_LINKS)
    return fail_with(failure, ELOOP, path);
  if (split(path, parent, name) < 0)
    return fail(failure, path);
  above = open_made_directory(root, parent, links, failure);
  if (above < 0)
    return -1;
  if (mknodat(above, name, S_IFREG | 0644, 0) == 0 || errno == EEXIST)
    descriptor = open_in_root(root, path, O_PATH, 0);
  if (descriptor >= 0)
    return descriptor;
  /* /etc/resolv.conf of many images is a link to what systemd would have made at boot. */
  if (errno != ENOENT || follow_link(above, path, strlen(path) - strlen(name), behind) < 0)
    return fail(failure, path);
  return open_made_file(root, behind, links + 1, failure);
}

int open_target(int root, const char *path, bool directory, struct failure *failure) {
  return directory ? open_made_directory(root, path, 0, failure) : open_made_file(root, path, 0, failure);
}

int make_directory(int root, const char *path, mode_t mode, uid_t uid, gid_t gid, struct failure *failure) {
  char name[NAME_MAX + 1];
  auto_close int above = -1;
  auto_close int made = -1;
  int descriptor = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);

  if (descriptor >= 0)
    return descriptor;
  if (errno != ENOENT)
    return fail(failure, path);
  above = open_parent(root, path, name, failure);
  if (above < 0)
    return -1;
  if (mkdirat(above, name, 0700) < 0)
    return errno == EEXIST ? open_made_directory(root, path, 0, failure) : fail(failure, path);
  made = open_resolved(above, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, RESOLVE_BELOW | RESOLVE_WITHOUT_LINKS);
  if (made < 0 || fchown(made, uid, gid) < 0 || fchmod(made, mode) < 0)
    return fail(failure, path);
  descriptor = open_in_root(root, path, O_PATH | O_DIRECTORY, 0);
  return descriptor < 0 ? fail(failure, path) : descriptor;
}

int attach_tree(const struct execution *execution, int tree, const char *path, bool create, bool directory,
                struct failure *failure) {
  auto_close int target = -1;

  if (execution->root < 0)
    return fail_with(failure, EINVAL, "no root is open");
  target = create ? open_target(execution->root, path, directory, failure) : open_in_root(execution->root, path, O_PATH, 0);
  if (target < 0)
    return create ? -1 : fail(failure, path);
  return move_mount_onto(tree, target) < 0 ? fail(failure, path) : 0;
}

int open_current_root(const struct execution *execution, struct failure *failure) {
  int root = execution->root >= 0 ? fcntl(execution->root, F_DUPFD_CLOEXEC, 3) : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

  return root < 0 ? fail(failure, "/") : root;
}
