/* Packed events, frames of a daybook, whole daybooks and volumes: read to their ends, inside of them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checksum.h"
#include "base/journal.h"
#include "chronicle/volume.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
see_rows(struct bytes rows)
{
	struct bytes packed;
	struct event e, again;
	bool         broken = false;

	while (event_next(&rows, &packed, &e, &broken)) {
		struct buffer b = { 0 };

		event_pack(&e, &b);
		INSIDE(event_unpack(buffer_bytes(&b), &again) && again.kind == e.kind && b.len <= packed.len);
		buffer_free(&b);
	}
}

static void
see_frames(struct bytes all)
{
	struct bytes rows;

	while (daybook_frame(&all, &rows))
		see_rows(rows);
}

/* With checksums that are right, so that what is behind them is reached. */
static void
mend(char *at, size_t size)
{
	uint32_t sum;

	if (size < 8 + 12 + VOLUME_FOOT)
		return;
	sum = checksum_of((struct bytes){ at + size - VOLUME_FOOT, VOLUME_FOOT - 4 });
	memcpy(at + size - 4, &sum, sizeof sum);
	memcpy(&sum, at + 12, sizeof sum);
	if (sum > size - 20)
		return;
	sum = checksum_of((struct bytes){ at + 20, sum });
	memcpy(at + 16, &sum, sizeof sum);
	sum = checksum_of((struct bytes){ at + size - VOLUME_FOOT, VOLUME_FOOT - 4 });
	memcpy(at + size - 4, &sum, sizeof sum);
}

static void
put(int directory, const char *name, const char *at, size_t size)
{
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	INSIDE(fd >= 0 && write(fd, at, size) == (ssize_t)size);
	(void)close(fd);
}

static void
see_volume(int directory)
{
	struct volume *v = volume_open(directory, 1);
	struct buffer  blocks = { 0 }, rows = { 0 };

	for (uint64_t key = 0; v != NULL && key < 4; key++)
		(void)volume_blocks_of(v, key << 62, &blocks);
	for (uint32_t i = 0; v != NULL && i < v->blocks && i < 64; i++) {
		buffer_reset(&rows);
		if (volume_block(v, i, &rows))
			see_rows(buffer_bytes(&rows));
	}
	buffer_free(&blocks);
	buffer_free(&rows);
	volume_close(&v);
}

static void
see_daybook(int directory)
{
	uint64_t        cut;
	struct daybook *d = daybook_open(directory, 1, &cut);
	struct buffer   rows = { 0 };

	for (uint32_t i = 0; d != NULL && i < daybook_blocks(d); i++)
		INSIDE(daybook_block(d, i, &rows));
	see_rows(buffer_bytes(&rows));
	buffer_free(&rows);
	daybook_close(&d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int  directory = -1;
	static char name[64] = "/tmp/fuzz-chronicle-XXXXXX";
	char       *copy;

	if (size == 0)
		return 0;
	if (directory < 0) {
		INSIDE(mkdtemp(name) != NULL);
		directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		INSIDE(directory >= 0);
	}
	copy = malloc(size);
	INSIDE(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	see_rows((struct bytes){ copy, size - 1 });
	see_frames((struct bytes){ copy, size - 1 });
	put(directory, "0000000001.daybook", copy, size - 1);
	see_daybook(directory);
	if (data[0] != 0)
		mend(copy, size - 1);
	put(directory, "0000000001.volume", copy, size - 1);
	see_volume(directory);
	(void)unlinkat(directory, "0000000001.daybook", 0);
	(void)unlinkat(directory, "0000000001.volume", 0);
	free(copy);
	return 0;
}
