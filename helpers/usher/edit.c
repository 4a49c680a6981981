/* SPDX-License-Identifier: GPL-2.0-or-later */
/* helpers/usher/edit.c - usher edit: as visudo, refuses to install what does not parse */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "../../lib/text.h"
#include "policyfile.h"

/* Return: the words of the editor's command line */
static int editor(struct strlist *ret)
{
	static const char *const names[] = { "SUDO_EDITOR", "VISUAL", "EDITOR" };
	static const char *const defaults[] = { "/usr/bin/editor", "/usr/bin/nano", "/usr/bin/vi" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return text_split(value, " \t", ret);
	}
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++)
		if (access(defaults[i], X_OK) == 0)
			return strlist_add(ret, defaults[i]);
	return -ENOENT;
}

/* The words and the file, as execvp(3) wants them */
static char **command_line(const struct strlist *words, char *file)
{
	char **argv = calloc(words->nr + 2, sizeof(*argv));

	for (size_t i = 0; argv && i < words->nr; i++)
		argv[i] = words->names[i];
	if (argv)
		argv[words->nr] = file;
	return argv;
}

/* ^C on the terminal is the editor's own */
static int wait_for(pid_t pid, int *ret_status)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction old_int, old_quit;
	int r = 0;

	(void)sigaction(SIGINT, &ignore, &old_int);
	(void)sigaction(SIGQUIT, &ignore, &old_quit);
	while (r == 0 && waitpid(pid, ret_status, 0) < 0)
		r = errno == EINTR ? 0 : -errno;
	(void)sigaction(SIGINT, &old_int, NULL);
	(void)sigaction(SIGQUIT, &old_quit, NULL);
	return r;
}

/* Return: 0 it ended well, -ECANCELED it did not, else -errno */
static int run_editor(char *file, bool json)
{
	_cleanup_strlist_ struct strlist words = { 0 };
	_cleanup_free_ char **argv = NULL;
	int r = editor(&words), status = 0;
	pid_t pid;

	if (r == 0 && words.nr > 0)
		argv = command_line(&words, file);
	if (!argv)
		return r < 0 ? r : -ENOMEM;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)signal(SIGPIPE, SIG_DFL);
		/* Ours is for a program then */
		if (json && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
			_exit(127);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	r = wait_for(pid, &status);
	if (r < 0)
		return r;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECANCELED;
}

static int copy_old(const struct request *request, const struct draft *draft, int fd)
{
	_cleanup_free_ char *text = NULL;
	int r = draft_old(draft, &text);
	size_t len;

	if (r < 0) {
		draft_say_old(request, request->guest, draft, r);
		return r;
	}
	len = strlen(text);
	return write(fd, text, len) == (ssize_t)len ? r : -EIO;
}

/* An empty draft in the place of no file is no change: an empty file would be a policy */
static bool is_changed(const struct draft *draft)
{
	_cleanup_free_ char *old = NULL, *new = NULL;
	struct draft self = *draft;

	memcpy(self.name, draft->tmp, sizeof(self.name));
	return draft_old(draft, &old) < 0 || draft_old(&self, &new) < 0 || strcmp(old, new) != 0;
}

static void say_unchanged(const struct draft *draft)
{
	bool exists = faccessat(draft->dirfd, draft->name, F_OK, 0) == 0;

	(void)printf("%s: nothing has changed%s\n", draft->real,
		     exists ? "" : ", and there is no such policy");
}

static int edit(const struct request *request, struct draft *draft)
{
	bool changed;
	int r;

	for (;;) {
		r = run_editor(draft->path, request->json);
		if (r < 0) {
			usher_say("the editor failed (%s): %s is as it was: set EDITOR",
				  strerror(-r), draft->real);
			return r;
		}
		r = draft_check(request, request->guest, draft);
		if (r == 0)
			break;
		if (ask("Edit again (e), or leave the file as it was (x)?") != 'e') {
			usher_say("%s is as it was", draft->real);
			return r;
		}
	}
	changed = is_changed(draft);
	r = changed ? draft_install(draft) : 0;
	if (r < 0)
		return r;
	if (request->json)
		draft_json(draft, "edit", request->guest, changed);
	else if (!changed)
		say_unchanged(draft);
	return 0;
}

static int run(const struct request *request)
{
	_cleanup_draft_ struct draft draft = DRAFT_INIT;
	_cleanup_close_ int fd = draft_open(request, request->guest, &draft);

	if (fd < 0 || copy_old(request, &draft, fd) < 0)
		return 1;
	return edit(request, &draft) < 0;
}

const struct command command_edit = {
	.name = "edit",
	.args = "[--json] GUEST",
	.help = "edit its policy; one that does not parse is not installed",
	.options = OPTION_JSON,
	.min_args = 1,
	.max_args = 1,
	.run = run,
};
