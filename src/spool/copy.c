#include "base/checksum.h"
#include "base/clock.h"
#include "spool/disk.h"
#include "spool/inside.h"

#include <errno.h>
#include <unistd.h>

static int
copy_begin(struct spool *sp)
{
	uint32_t number;
	int      fd, why;

	if (sp->copy.fd >= 0)
		return 0;
	/* Compaction makes room: it may use the reserve. */
	if ((fd = spool_make_new(sp, SEGMENT_COMPACTION, SEGMENT_HEADER, false, &number)) < 0) {
		why = errno;
		return why;
	}
	sp->copy.fd = fd;
	sp->copy.number = number;
	sp->copy.used = SEGMENT_HEADER;
	pthread_mutex_lock(&sp->lock);
	spool_row_add(sp, (struct spool_segment){ .number = number,
	                                          .state = SEGMENT_OPEN,
	                                          .used = SEGMENT_HEADER,
	                                          .size = SEGMENT_HEADER,
	                                          .made = clock_wall() });
	pthread_mutex_unlock(&sp->lock);
	return 0;
}

/* One record, checksum verified, to the end of the compaction segment; *at is where its header lies then. */
static int
copy_record(struct spool *sp, uint32_t segment, uint64_t from, enum record_type type,
            uint64_t letter, uint64_t *at)
{
	char              header[RECORD_HEADER];
	static const char zeros[8];
	char             *chunk;
	struct record     r;
	uint32_t          sum, found = 0;
	uint64_t          to = sp->copy.used;
	int               fd = letters_fd(sp->letters, segment), why;

	if (fd < 0)
		return errno;
	if ((why = disk_read(fd, header, sizeof header, from)) != 0)
		return why;
	if (!record_header_read(header, &r, &sum) || r.type != type || r.letter != letter)
		return EBADMSG;
	chunk = memory_take(SPOOL_CHUNK);
	why = disk_write(sp->copy.fd, header, sizeof header, to);
	for (uint64_t done = 0; done < r.body_len && why == 0;) {
		size_t n =
			r.body_len - done < SPOOL_CHUNK ? (size_t)(r.body_len - done) : SPOOL_CHUNK;
		if ((why = disk_read(fd, chunk, n, from + RECORD_HEADER + done)) != 0)
			break;
		found = checksum_more(found, (struct bytes){ chunk, n });
		why = disk_write(sp->copy.fd, chunk, n, to + RECORD_HEADER + done);
		done += n;
	}
	memory_free(chunk);
	if (why == 0 && record_padded(r.body_len) > r.body_len)
		why = disk_write(sp->copy.fd, zeros,
		                 (size_t)(record_padded(r.body_len) - r.body_len),
		                 to + RECORD_HEADER + r.body_len);
	if (why == 0 && found != sum)
		why = EBADMSG;
	if (why != 0)
		return why;
	*at = to;
	sp->copy.used = to + record_takes(r.body_len);
	return 0;
}

int
spool_copy(struct spool *sp, uint64_t letter, const struct letter_place *from,
           struct letter_place *to)
{
	uint64_t before, content_at, envelope_at;
	int      why;

	if (sp->copy.fd >= 0 && sp->copy.used + record_takes(from->content_len) > UINT32_MAX)
		if ((why = spool_copy_end(sp)) != 0)
			return why;
	if ((why = copy_begin(sp)) != 0)
		return why;
	before = sp->copy.used;
	why = copy_record(sp, from->content_segment, from->content_at - RECORD_HEADER,
	                  RECORD_CONTENT, letter, &content_at);
	if (why == 0)
		why = copy_record(sp, from->envelope_segment, from->envelope_at, RECORD_ENVELOPE,
		                  letter, &envelope_at);
	if (why != 0) {
		sp->copy.used = before; /* what was written of it is overwritten or cut */
		return why;
	}
	*to = (struct letter_place){
		.content_segment = sp->copy.number,
		.content_at = content_at + RECORD_HEADER,
		.content_len = from->content_len,
		.envelope_segment = sp->copy.number,
		.envelope_at = envelope_at,
	};
	return 0;
}

int
spool_copy_end(struct spool *sp)
{
	uint32_t number = sp->copy.number;
	uint64_t used = sp->copy.used;
	int      why;

	if (sp->copy.fd < 0)
		return 0;
	why = used == SEGMENT_HEADER ? spool_remove(sp, number) : spool_seal(sp->copy.fd, used);
	(void)close(sp->copy.fd);
	sp->copy.fd = -1;
	if (why == 0)
		spool_row_sealed(sp, number, used);
	return why;
}
