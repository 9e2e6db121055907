/*
 * kleroctl: what its commands share. Runs for an operator, as root or as the user who starts
 * klerod; trusts the configuration and the terminal.
 */
#ifndef DAEMON_CLI_KLEROCTL_H
#define DAEMON_CLI_KLEROCTL_H

#include "daemon/conf/conf.h"

/* Exit statuses; stable. */
enum ctl_status {
	CTL_OK,
	CTL_REFUSED,     /* the appliance, or setup, said no */
	CTL_USAGE,       /* the command or the configuration is wrong */
	CTL_UNREACHABLE, /* no klerod answers */
	CTL_DAMAGED      /* the backup is damaged, cut or altered */
};

/* What every command gets. */
struct ctl {
	struct conf conf;
	const char *conf_path;
	char libexec[RCONF_PATH];
	int null; /* /dev/null */
};

/* A command: its words are in argv[0..argc). Returns an enum ctl_status. */
int ctl_setup(struct ctl *ctl, int argc, char **argv);
int ctl_admin_create(struct ctl *ctl, int argc, char **argv);
int ctl_user_roles(struct ctl *ctl, int argc, char **argv);
int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_key_list(struct ctl *ctl, int argc, char **argv);
int ctl_key_rotate(struct ctl *ctl, int argc, char **argv);
int ctl_key_roll_back(struct ctl *ctl, int argc, char **argv);
int ctl_key_destroy(struct ctl *ctl, int argc, char **argv);
int ctl_key_abandon(struct ctl *ctl, int argc, char **argv);
int ctl_key_compromise(struct ctl *ctl, int argc, char **argv);
int ctl_officer_enrol(struct ctl *ctl, int argc, char **argv);
int ctl_officer_propose(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_list(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_show(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_approve(struct ctl *ctl, int argc, char **argv);
int ctl_proposal_reject(struct ctl *ctl, int argc, char **argv);
int ctl_backup(struct ctl *ctl, int argc, char **argv);
int ctl_restore(struct ctl *ctl, int argc, char **argv);
int ctl_unpack(struct ctl *ctl, int argc, char **argv);
int ctl_import_deposit_keys(struct ctl *ctl, int argc, char **argv);
int ctl_hsm_check(struct ctl *ctl, int argc, char **argv);

/* "kleroctl: ..." on standard error; returns status. */
int ctl_fail(int status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
