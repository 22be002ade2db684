# bash completion for shoal. Made by scripts/gen-docs from common/conf.def.
# SPDX-License-Identifier: MIT
_shoal() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	case $prev in
	--python | -p | --pid | --reload-extra-file | --gateway-token-file | --certfile | --keyfile | --ca-certs | --access-logfile | --error-logfile | --ledger | -c | --config)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--chdir | --venv | --state-dir | --body-dir)
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	-u | --user | --gateway-user)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	-g | --group)
		mapfile -t COMPREPLY < <(compgen -g -- "$cur")
		return
		;;
	--compat)
		mapfile -t COMPREPLY < <(compgen -W 'eventlet' -- "$cur")
		return
		;;
	--python-launch)
		mapfile -t COMPREPLY < <(compgen -W 'auto embed exec' -- "$cur")
		return
		;;
	--request-buffering)
		mapfile -t COMPREPLY < <(compgen -W 'memory disk off' -- "$cur")
		return
		;;
	--max-http-version)
		mapfile -t COMPREPLY < <(compgen -W '1.0 1.1' -- "$cur")
		return
		;;
	--header-map)
		mapfile -t COMPREPLY < <(compgen -W 'drop refuse dangerous' -- "$cur")
		return
		;;
	--billing-basis)
		mapfile -t COMPREPLY < <(compgen -W 'delivered sent' -- "$cur")
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W '
			--factory
			--middleware
			--chdir
			--pythonpath
			--env
			--environ
			--root-path
			--compat
			--debug
			--python
			--venv
			--python-launch
			--bind
			--backlog
			--reuse-port
			--socket-mode
			--workers
			--threads
			--worker-class
			--worker-connections
			--switch-interval
			--daemon
			--pid
			--user
			--group
			--initgroups
			--umask
			--name
			--allow-root
			--preload
			--preload=on
			--preload=off
			--preload=auto
			--warm-up
			--reload
			--reload-extra-file
			--reload-surge
			--reload-soak
			--reload-max-error-ratio
			--reload-keep
			--check-url
			--max-requests
			--max-requests-jitter
			--max-age
			--max-age-jitter
			--max-rss
			--stuck-grace
			--control-socket
			--control-socket-mode
			--control-role
			--no-control-socket
			--state-dir
			--gateway
			--gateway-host
			--gateway-token-file
			--metrics-account
			--gateway-user
			--timeout
			--graceful-timeout
			--keep-alive
			--head-timeout
			--body-timeout
			--write-timeout
			--body-min-rate
			--linger-timeout
			--load-timeout
			--limit-request-line
			--limit-request-fields
			--limit-request-field_size
			--limit-request-head
			--body-max
			--body-memory
			--body-dir
			--request-buffering
			--output-high
			--notsent-lowat
			--max-http-version
			--min-chunk
			--certfile
			--keyfile
			--ca-certs
			--cert-reqs
			--ciphers
			--tls-handshake-timeout
			--forwarded-allow-ips
			--header-map
			--no-server-header
			--capitalize-headers
			--health-path
			--no-sendfile
			--access-logfile
			--access-logformat
			--log-x-forwarded-for
			--error-logfile
			--log-level
			--statsd-host
			--statsd-prefix
			--dogstatsd-tags
			--capture-output
			--account-key
			--accounts-max
			--billing-basis
			--ledger
			--ledger-flush
			--ledger-node
			--ledger-keep-minutes
			--ledger-keep-hours
			--ledger-keep-days
			--ledger-keep-outbox
			--config
			--check-config
			--print-config
			--help
			--version
		' -- "$cur")
	else
		mapfile -t COMPREPLY < <(compgen -f -X '!*.py' -- "$cur")
	fi
}
complete -o filenames -F _shoal shoal
