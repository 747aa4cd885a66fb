#include "command/sendmail-report.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "message/notice-words.h"
#include "role/notice-settings.h"
#include "role/queue.h"

/* "250 2.1.5 Ok": the status is behind the code. */
static struct bytes
status_of(const char *reply)
{
	struct bytes rest = bytes_of(reply), code, status;

	if (!bytes_split(&rest, ' ', &code) || !bytes_split(&rest, ' ', &status) ||
	    status.len < 5 || status.at[1] != '.')
		return BYTES("");
	return status;
}

static void
speech_add(struct settings *s, struct notice *n, const struct notice_templates *all,
           struct arena *a, const char *tag)
{
	const struct notice_words *words = notice_words(bytes_of(tag));
	struct notice_speech      *one = &n->speech[n->speeches];
	struct buffer              text = { 0 };

	if (words == NULL || n->speeches == NOTICE_LANGUAGES_MOST)
		return;
	*one = (struct notice_speech){ .words = words,
		                       .template =
		                               templates_find(all, TEMPLATE_VERIFY, words->name) };
	if (n->speeches > 0 && one->template != NULL && one->template == n->speech[0].template)
		return; /* it is for all languages: once is enough */
	n->speeches++;
	if (one->template == NULL)
		return;
	(void)notice_expand(s, one->template->text, a, &text, NULL);
	one->text = arena_keep(a, buffer_bytes(&text));
	buffer_free(&text);
}

void
sendmail_report(struct settings *s, const struct common_settings *common, const char *sender,
                const struct asked_of *of, size_t count, struct buffer *out)
{
	struct arena            *a = arena_open(NULL);
	struct queue_settings    rows;
	struct notice_templates  templates = { .count = 0 };
	struct notice_recipient *to = arena_take_array(a, count + 1, sizeof *to);
	struct buffer            errors = { 0 };
	struct notice            n = {
			   .kind = NOTICE_DELIVERABLE,
			   .host = common->myhostname,
			   .queue_id = bytes_of(arena_printf(a, "%llx", (unsigned long long)random_number())),
			   .sender = bytes_of(sender),
			   .arrived = clock_wall(),
			   .now = clock_wall(),
			   .recipient = to,
			   .recipients = count,
	};

	for (size_t i = 0; i < count; i++)
		to[i] = (struct notice_recipient){
			.final = bytes_of(of[i].address),
			.status = status_of(of[i].reply),
			.diagnostic = bytes_of(arena_printf(a, "smtp; %s", of[i].reply)),
			.what = of[i].reply[0] == '2' ? NOTICE_DELIVERABLE : NOTICE_UNDELIVERABLE,
		};
	if (settings_fill(s, &queue_setting_table, NULL, &rows, NULL)) {
		const char *path = notice_template_file(&rows.template_file);

		if (path != NULL && !notice_templates_load(path, a, &templates, &errors))
			(void)fprintf(stderr, "sendmail: %.*s", (int)errors.len, errors.at);
		for (size_t i = 0; i < rows.languages.count; i++)
			speech_add(s, &n, &templates, a, rows.languages.item[i]);
	}
	notice_write(&n, out);
	buffer_free(&errors);
	arena_close(&a);
}
