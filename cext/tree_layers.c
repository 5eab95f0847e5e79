/* Looking through a stack of layers as overlayfs would, without mounting it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "tree.h"

/* Look into one lower layer. 1: found, 0: this layer does not know it, 2: this layer hides it from those below, -1 with errno. */
static int find_in_layer(const char *lower, const char *path, int *parent, struct stat *status) {
  auto_close int directory = open(lower, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool opaque = false;

  if (directory < 0)
    return -1;
  for (;;) {
    char name[NAME_MAX + 1];
    size_t length = strcspn(path, "/");
    int next, answer;

    if (length > NAME_MAX)
      return 2;
    memcpy(name, path, length);
    name[length] = '\0';
    if (fstatat(directory, name, status, AT_SYMLINK_NOFOLLOW) < 0)
      return errno != ENOENT ? -1 : opaque ? 2 : 0;
    if (is_whiteout(status) || (path[length] == '/' && !S_ISDIR(status->st_mode)))
      return 2;
    if (path[length] == '\0')
      break;
    next = open_directory(directory, name);
    if (next < 0)
      return -1;
    close(directory);
    directory = next;
    answer = is_opaque(directory);
    if (answer < 0)
      return -1;
    opaque = opaque || answer > 0;
    path += length + 1;
  }
  *parent = take_descriptor(&directory);
  return 1;
}

int layers_find(const struct plan_string *layers, uint32_t count, const char *path, int *parent, struct stat *status) {
  for (uint32_t index = 0; index < count; index++) {
    int answer = find_in_layer(layers[index].bytes, path, parent, status);

    if (answer != 0)
      return answer == 2 ? 0 : answer;
  }
  return 0;
}
