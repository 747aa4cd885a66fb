/* Threads of whatever ids refer to one another: each message is said once, and it ends. */
#include "access/imap/threads.h"
#include "base/journal.h"

enum { MESSAGES_MOST = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena          *a = arena_open(NULL);
	struct thread_message *m = arena_take_array(a, MESSAGES_MOST, sizeof *m);
	uint64_t(*reference)[2] = arena_take_array(a, MESSAGES_MOST, sizeof *reference);
	struct buffer   out = { 0 };
	struct threads *t;
	uint32_t        count = 0, said = 0;

	/* Of each message: id, two references, subject and whether it is a reply, date. */
	for (; size >= 1 + 5 * ((size_t)count + 1) && count < MESSAGES_MOST; count++) {
		const uint8_t *p = data + 1 + 5 * (size_t)count;

		reference[count][0] = p[1];
		reference[count][1] = p[2];
		m[count] = (struct thread_message){ .number = count + 1,
			                            .id = p[0],
			                            .subject = p[3] >> 1,
			                            .reply = p[3] & 1,
			                            .date = p[4],
			                            .reference = reference[count] };
		m[count].references = p[1] == 0 ? 0 : p[2] == 0 ? 1 : 2;
	}
	t = threads_open(size > 0 ? (enum thread_how)(data[0] % 3) : THREAD_REFS, m, count, a);
	while (!threads_go(t, size > 0 ? data[0] / 3U + 1 : 1))
		continue;
	while (!threads_say(t, &out, out.len + 7))
		continue;
	for (size_t i = 0; i < out.len; i++)
		said += out.at[i] >= '0' && out.at[i] <= '9' && (i == 0 || out.at[i - 1] < '0' || out.at[i - 1] > '9');
	INSIDE(said == count);
	buffer_free(&out);
	threads_close(&t);
	arena_close(&a);
	return 0;
}
