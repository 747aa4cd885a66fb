/*
 * postmaster_inner -- what the files of the postmaster share: postmaster.c (opening, keeping, closing),
 * postmaster-settings.c (main.cf), postmaster-reload.c (settings that are new), postmaster-asked.c (the command line)
 */
#ifndef ROLE_POSTMASTER_INNER_H
#define ROLE_POSTMASTER_INNER_H

#include <sys/stat.h>

#include "role/child.h"
#include "role/estate.h"
#include "role/postmaster.h"
#include "role/tables.h"

enum phase { OPENING, OPEN, CLOSING };

/* Settings of earlier days: what is fixed still points into the first of them. */
struct generation {
	struct generation *earlier;
	struct settings   *settings;
};
struct inquiry;  /* a `mansio status` that waits  */
struct reloader; /* a `mansio reload` that waits  */

struct postmaster {
	struct house        house; /* its loop, settings and common ones    */
	const char         *file;
	struct buffer       text;
	struct generation  *generations;
	struct estate      *estate;
	struct estate      *before; /* while a reload is under way, else NULL */
	struct children     children;
	enum phase          phase;
	size_t              stage; /* of closing                            */
	struct timer       *stage_timer, *watchdog, *syslog_look;
	struct table_watch *tables;
	struct inquiry     *inquiries;
	struct caller      *stopper;    /* waits until we are gone               */
	struct buffer       view;       /* confine_view() at the start           */
	struct buffer       users_view; /* confine_users_view() as of the last reload */
	bool                users_anew; /* and what is new in it                */
	struct reloader    *reloaders;
	struct timer       *reload_timer;
	uint32_t            tickets, reload_ticket;
	size_t              reload_waiting; /* so many have not said they are done */
	int64_t             began_ms, closing_ms;
	bool                failed;
	struct stat         syslog; /* /dev/log as we know it                */
};

/* postmaster.c */
void postmaster_stop(struct postmaster *, const char *why);
void postmaster_open_journal(struct postmaster *); /* as the estate and the settings say */

/* postmaster-settings.c: text, settings and the common ones, all checked; NULL with words. */
struct settings *postmaster_read(const char *file, struct buffer *text, struct common_settings *,
                                 struct buffer *errors, struct buffer *warnings);
void             postmaster_keep_settings(struct postmaster *, struct settings *);

/* postmaster-reload.c */
unsigned reload_roles_wanted(
	const struct postmaster
		*); /* of CHILDREN_AT_TIMES, those that the settings give something to do */
void reload_next(void *postmaster); /* whoever was told has answered, or is too late */
void reload_begin(struct postmaster *,
                  struct estate *); /* the estate is new; the signer is the first to be told */
/* Of one that is under way everybody is told before the next begins.  Who waits for it goes on waiting: not before
   all have answered is it in force. */
void reload_hurry(struct postmaster *);
bool reload_and_tell(struct postmaster *, struct buffer *errors, struct buffer *warnings);
void reload_await(struct postmaster *, struct caller *); /* who is answered when it is in force */

/* postmaster-asked.c */
void postmaster_asked(struct house *, struct caller *, const struct word_ask *);
/* One child has answered the question with this ticket. */
void inquiry_heard(struct postmaster *, uint32_t ticket);

#endif
