#include "command/postconf-templates.h"

#include <stdio.h>
#include <string.h>

#include "command/command.h"
#include "message/charset.h"
#include "message/notice-words.h"
#include "role/notice-settings.h"
#include "role/queue.h"

struct showing {
	struct settings *settings;
	struct arena    *arena;
	bool             expanded, good;
};

/* With the line ends of files. */
static void
put_lines(struct bytes text)
{
	struct bytes line;

	while (text.len > 0 && bytes_split(&text, '\n', &line))
		(void)printf("%.*s\n", (int)bytes_cut(line, 0, line.len - (line.len > 0)).len,
		             line.len > 0 ? line.at : "");
}

static void
put_one(struct showing *w, const struct notice_template *t)
{
	struct buffer text = { 0 }, unknown = { 0 };
	const char   *name = template_names[t->kind];
	const struct {
		const char  *name;
		struct bytes value;
	} headers[] = { { "From", t->from },
		        { "Subject", t->subject },
		        { "Postmaster-Subject", t->postmaster_subject } };

	if (w->expanded && !notice_expand(w->settings, t->text, w->arena, &text, &unknown)) {
		(void)fprintf(stderr, "%s_template: there is no setting%.*s\n", name,
		              (int)unknown.len, unknown.at);
		w->good = false;
	} else if (!w->expanded) {
		buffer_add(&text, t->text);
	}
	(void)printf(w->expanded ? "expanded_%s_text%s%.*s = <<EOF\n"
	                         : "%s_template%s%.*s = <<EOF\n",
	             name, t->language.len > 0 ? "." : "", (int)t->language.len, t->language.at);
	if (!w->expanded)
		(void)printf("Charset: %s\n", bytes_are_ascii(t->text) ? "us-ascii" : "utf-8");
	for (size_t i = 0; !w->expanded && i < COUNT(headers); i++)
		if (headers[i].value.len > 0)
			(void)printf("%s: %.*s\n", headers[i].name, (int)headers[i].value.len,
			             headers[i].value.at);
	if (!w->expanded)
		(void)putchar('\n');
	put_lines(buffer_bytes(&text));
	(void)puts("EOF\n");
	buffer_free(&text);
	buffer_free(&unknown);
}

/* Ours: a field of a template is ASCII alone, so those of other languages are not shown. */
static void
put_own(struct showing *w, enum template_kind kind, const struct notice_words *words)
{
	static const enum notice_kind means[TEMPLATE_KINDS] = {
		[TEMPLATE_FAILURE] = NOTICE_FAILED,
		[TEMPLATE_DELAY] = NOTICE_DELAYED,
		[TEMPLATE_SUCCESS] = NOTICE_DELIVERED,
	};
	struct notice_template t = { .kind = kind,
		                     .language = bytes_of(words->name),
		                     .text = bytes_of(words->text[means[kind]]) };

	if (bytes_are_ascii(bytes_of(words->subject[means[kind]]))) {
		t.from = bytes_of(arena_printf(w->arena, "%s <MAILER-DAEMON>", words->from));
		t.subject = bytes_of(words->subject[means[kind]]);
		t.postmaster_subject = bytes_of(words->copy_subject[means[kind]]);
	}
	put_one(w, &t);
}

int
templates_show(struct settings *s, const char *file, bool expanded)
{
	struct showing          w = { s, arena_open(NULL), expanded, true };
	struct queue_settings   rows;
	struct notice_templates all = { .count = 0 };
	struct buffer           errors = { 0 };

	if (file == NULL && settings_fill(s, &queue_setting_table, NULL, &rows, &errors))
		file = notice_template_file(&rows.template_file);
	if (file != NULL)
		w.good = notice_templates_load(file, w.arena, &all, &errors);
	(void)fprintf(stderr, "%.*s", (int)errors.len, errors.len > 0 ? errors.at : "");
	for (size_t i = 0; i < all.count; i++)
		put_one(&w, &all.one[i]);
	for (int kind = TEMPLATE_FAILURE; kind <= TEMPLATE_SUCCESS; kind++)
		for (size_t i = 0; notice_language(i) != NULL; i++)
			if (templates_find(&all, (enum template_kind)kind, notice_language(i)) ==
			    NULL)
				put_own(&w, (enum template_kind)kind,
				        notice_words(bytes_of(notice_language(i))));
	buffer_free(&errors);
	arena_close(&w.arena);
	return w.good ? COMMAND_DONE : COMMAND_FAILED;
}
