#include "access/imap/limit.h"

uint32_t
limit_most(const struct imap *s)
{
	return (uint32_t)imap_config_of(s)->rows.message_limit;
}

uint32_t
limit_saves(const struct imap *s)
{
	uint32_t most = limit_most(s);
	uint32_t saves = (uint32_t)imap_config_of(s)->rows.save_limit;

	return most == 0 || (saves > 0 && saves < most) ? saves : most;
}

/* What the client knows of each range has numbers that follow one another. */
uint32_t
limit_lowest(struct imap *s, const struct uid_set *set, uint32_t most)
{
	uint32_t left = most, lowest = 0;

	if (most == 0 || view_count(s->view) <= most)
		return 0;
	for (size_t i = set->count; i-- > 0;) {
		uint32_t first = view_next(s->view, set->range[i].first), beyond = 0, numbers;

		if (first == 0 || first > set->range[i].last)
			continue;
		if (set->range[i].last < UINT32_MAX)
			beyond = view_next(s->view, set->range[i].last + 1);
		numbers = (beyond != 0 ? view_number(s->view, beyond) : view_count(s->view) + 1) -
		          view_number(s->view, first);
		/* The range above may have taken all that was left. */
		if (numbers > left)
			return left == 0 ? lowest
			                 : view_uid(s->view,
			                            view_number(s->view, first) + numbers - left);
		left -= numbers;
		lowest = first;
	}
	return 0;
}

uint32_t
limit_cut(struct imap *s, struct uid_set *set)
{
	uint32_t          lowest = limit_lowest(s, set, limit_most(s));
	struct uid_range *kept;
	size_t            n = 0;

	if (lowest == 0)
		return 0;
	kept = arena_take_array(s->scratch, set->count, sizeof *kept);
	for (size_t i = 0; i < set->count; i++)
		if (set->range[i].last >= lowest) {
			kept[n] = set->range[i];
			if (kept[n].first < lowest)
				kept[n].first = lowest;
			n++;
		}
	*set = (struct uid_set){ kept, n };
	return lowest;
}

/* resp-text-code =/ "MESSAGELIMIT" SP message-limit [SP uniqueid]   rfc9738 */
enum imap_step
limit_ok(struct imap *s, uint32_t lowest, const char *word)
{
	if (lowest == 0)
		return imap_ok(s, "%s completed.", word);
	return imap_ok(s, "[MESSAGELIMIT %u %u] %s completed with %u partial results.",
	               limit_most(s), lowest, word, limit_most(s));
}

void
limit_apart(struct imap *s, uint32_t lowest)
{
	if (lowest != 0)
		buffer_printf(imap_out(s),
		              "* NO [MESSAGELIMIT %u %u] Only %u messages were looked at.\r\n",
		              limit_most(s), lowest, limit_most(s));
}

enum imap_step
limit_no(struct imap *s, uint32_t most, uint32_t lowest, const char *words)
{
	if (lowest == 0)
		return imap_no(s, "[MESSAGELIMIT %u] %s", most, words);
	return imap_no(s, "[MESSAGELIMIT %u %u] %s", most, lowest, words);
}
