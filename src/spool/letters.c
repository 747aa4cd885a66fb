#include "spool/letters.h"

#include "spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Descriptors kept open; the one used longest ago makes room. */
enum { KEPT = 64 };
/* An envelope holds at most 50 000 recipients, a prefix and a digest. */
#define ENVELOPE_MOST ((uint64_t)256 << 20)

struct kept {
	uint32_t segment;
	int      fd;
	uint64_t used;
};
struct letters {
	int         dir;
	uint64_t    turn;
	struct kept kept[KEPT];
};

struct letters *
letters_open(int dir)
{
	struct letters *l = memory_take(sizeof *l);

	l->dir = dir;
	for (int i = 0; i < KEPT; i++)
		l->kept[i].fd = -1;
	return l;
}

void
letters_close(struct letters **lp)
{
	struct letters *l = *lp;

	*lp = NULL;
	if (l == NULL)
		return;
	for (int i = 0; i < KEPT; i++)
		if (l->kept[i].fd >= 0)
			(void)close(l->kept[i].fd);
	memory_free(l);
}

int
letters_fd(struct letters *l, uint32_t segment)
{
	struct kept *oldest = &l->kept[0];
	char         name[24];
	int          fd;

	for (int i = 0; i < KEPT; i++) {
		struct kept *k = &l->kept[i];
		if (k->fd >= 0 && k->segment == segment) {
			k->used = ++l->turn;
			return k->fd;
		}
		if (oldest->fd >= 0 && (k->fd < 0 || k->used < oldest->used))
			oldest = k;
	}
	(void)snprintf(name, sizeof name, "%08x.seg", segment);
	if ((fd = openat(l->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)
		return -1;
	if (oldest->fd >= 0)
		(void)close(oldest->fd);
	*oldest = (struct kept){ .segment = segment, .fd = fd, .used = ++l->turn };
	return fd;
}

int
letters_envelope(struct letters *l, uint32_t segment, uint64_t at, uint64_t letter,
                 struct arena *arena, struct bytes *packed)
{
	int fd = letters_fd(l, segment);

	if (fd < 0 ||
	    record_read(fd, at, RECORD_ENVELOPE, letter, arena, ENVELOPE_MOST, packed) == NULL)
		return errno;
	return 0;
}

int
letters_read(struct letters *l, const struct letter_place *place, uint64_t at, void *out,
             size_t len)
{
	int fd;

	if (at > place->content_len || len > place->content_len - at)
		return EINVAL;
	if ((fd = letters_fd(l, place->content_segment)) < 0)
		return errno;
	return disk_read(fd, out, len, place->content_at + at);
}

void
letters_forget(struct letters *l, uint32_t segment)
{
	for (int i = 0; i < KEPT; i++) {
		if (l->kept[i].fd >= 0 && l->kept[i].segment == segment) {
			(void)close(l->kept[i].fd);
			l->kept[i].fd = -1;
		}
	}
}

#undef ENVELOPE_MOST
