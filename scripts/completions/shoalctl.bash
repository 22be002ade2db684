# bash completion for shoalctl. Made by scripts/gen-docs from master/cli/verbs.c.
# SPDX-License-Identifier: MIT
_shoalctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local word verb='' skip=''
	case $prev in
	-s | --socket | --binary)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-i | --instance)
		mapfile -t COMPREPLY < <(compgen -W "$(shoalctl instances 2>/dev/null | cut -f 1 | tail -n +2)" -- "$cur")
		return
		;;
	--signal)
		mapfile -t COMPREPLY < <(compgen -W 'TERM INT QUIT ABRT KILL SEGV STOP CONT' -- "$cur")
		return
		;;
	--step)
		mapfile -t COMPREPLY < <(compgen -W '1m 1h 1d 1mo all' -- "$cur")
		return
		;;
	--window)
		mapfile -t COMPREPLY < <(compgen -W 'hour day month' -- "$cur")
		return
		;;
	--window)
		mapfile -t COMPREPLY < <(compgen -W 'hour day month' -- "$cur")
		return
		;;
	--action)
		mapfile -t COMPREPLY < <(compgen -W 'log throttle deny' -- "$cur")
		return
		;;
	--window)
		mapfile -t COMPREPLY < <(compgen -W 'hour day month' -- "$cur")
		return
		;;
	--level)
		mapfile -t COMPREPLY < <(compgen -W 'debug info warning error critical' -- "$cur")
		return
		;;
	esac
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		if [[ -n $skip ]]; then
			skip=
		elif [[ $word == -[si] || $word == --@(socket|instance|timeout) ]]; then
			skip=1
		elif [[ $word != -* ]]; then
			verb=$word
			break
		fi
	done
	local words
	case $verb in
	'') words='status top workers worker listeners accounts routes busiest inflight stats history events health reload rollback jobs job wait cancel upgrade scale recycle pause resume kill trace drain undrain stop instances version whoami ping usage accounting quota logs reopen log-level config schema call --socket --instance --json --jsonl --quiet --timeout --help --version' ;;
	status) words=' --help' ;;
	top) words=' --delay --batch --count --once --help' ;;
	workers) words=' --help' ;;
	worker) words=' --help' ;;
	listeners) words=' --help' ;;
	accounts) words=' --limit --help' ;;
	routes) words=' --help' ;;
	busiest) words=' client host agent --limit --help' ;;
	inflight) words=' --slow --slot --limit --help' ;;
	stats) words=' --watch --count --help' ;;
	history) words=' --since --step --help' ;;
	events) words=' --follow --since --limit --help' ;;
	health) words=' ready live --help' ;;
	reload) words=' --bluegreen --check --no-wait --surge --canaries --check-url --soak --max-error-ratio --boot-timeout --drain-timeout --keep-old --help' ;;
	rollback) words=' --no-wait --help' ;;
	jobs) words=' --help' ;;
	job) words=' --help' ;;
	wait) words=' --help' ;;
	cancel) words=' --help' ;;
	upgrade) words=' --binary --check --no-wait --help' ;;
	scale) words=' --no-wait --help' ;;
	recycle) words=' --drain-timeout --no-wait --help' ;;
	pause) words=' --help' ;;
	resume) words=' --help' ;;
	kill) words=' --signal --help' ;;
	trace) words=' --help' ;;
	drain) words=' --drain-timeout --no-wait --help' ;;
	undrain) words=' --help' ;;
	stop) words=' --fast --now --no-wait --help' ;;
	instances) words=' --help' ;;
	version) words=' --help' ;;
	whoami) words=' --help' ;;
	ping) words=' --help' ;;
	usage) words=' --month --day --from --to --step --account --columns --limit --csv --help' ;;
	accounting) words=' status flush export --after --limit adjust --column --delta --at --help' ;;
	quota) words=' list get --window set --window --action --rate unset --window --help' ;;
	logs) words=' --follow --tail --level --help' ;;
	reopen) words=' --help' ;;
	log-level) words=' debug info warning error critical --help' ;;
	config) words=' get diff check schema --help' ;;
	schema) words=' --help' ;;
	call) words=' --help' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -o default -F _shoalctl shoalctl
