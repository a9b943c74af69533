#!/usr/bin/env bash
# A Kafka broker from Maven artifacts, on the loopback: kafka.sh fetch|up|down|status; and a schema registry, Apicurio's:
# kafka.sh fetch-registry|registry-up|registry-down.
# KAFKA_HOME (default target/kafka) holds jars, data and log; KAFKA_PORT (default 9092) is where it listens, the port
# after it is the controller's. REGISTRY_HOME (default target/registry) and REGISTRY_PORT (default 8081) are the registry's.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=$(realpath -m "${KAFKA_HOME:-$here/../../target/kafka}")
port=${KAFKA_PORT:-9092}
controller=$((port + 1))
seconds_to_start=60
registry_home=$(realpath -m "${REGISTRY_HOME:-$here/../../target/registry}")
registry_port=${REGISTRY_PORT:-8081}
registry_version=2.6.13.Final # The newest for Java 17.
avro_version=1.12.0

need() {
    command -v "$1" >/dev/null && return
    echo "missing on this machine: $1; install with: sudo apt-get install $2" >&2
    exit 2
}

jvm() { java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$home/libs/*" "$@"; }

# Whether what a folder's pid file names runs: that process, told by a word of its command line. The number may be another
# process's by now, or have been copied along.
runs() { [ -f "$1/pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$1/pid")/cmdline" | grep -qF "$2"; }
running() { runs "$home" "$home/server.properties"; }
registry_runs() { runs "$registry_home" "$registry_home/runner.jar"; }

# Waits until the port listens, as long as the given check says that it may: listening PORT CHECK HOME NAME.
listening() {
    for _ in $(seq $((seconds_to_start * 5))); do
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        # First the pause: what has just been started may not be what it will be yet.
        sleep 0.2
        "$2" || break
    done
    tail -n 20 "$3/log" >&2
    echo "$4 did not start; its log is $3/log" >&2
    exit 1
}

# Ends what the given check finds to run: stop CHECK HOME.
stop() {
    "$1" || return 0
    pid=$(cat "$2/pid")
    kill "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
}

fetch() {
    need java default-jre-headless
    # The mark is set last: a fetch that was cut short is begun again.
    [ "$home/libs/.complete" -nt "$here/pom.xml" ] && return
    need mvn maven
    mkdir -p "$home/libs"
    mvn -q -B -f "$here/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/libs" </dev/null
    touch "$home/libs/.complete"
}

up() {
    fetch
    if running; then
        echo "Kafka runs already: 127.0.0.1:$port"
        return
    fi
    if [ ! -d "$home/data" ]; then
        listeners="PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller"
        {
            cat "$here/server.properties"
            echo "listeners=$listeners"
            echo "advertised.listeners=$listeners"
            echo "controller.quorum.bootstrap.servers=127.0.0.1:$controller"
            echo "log.dirs=$home/data"
        } >"$home/server.properties"
        jvm kafka.tools.StorageTool format --standalone -t "$(jvm kafka.tools.StorageTool random-uuid)" \
            -c "$home/server.properties" >/dev/null
    fi
    # setsid and exec: it outlives this shell, and the number noted is its own.
    setsid java -Xmx512m -XX:+UseSerialGC -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$home/libs/*" \
        kafka.Kafka "$home/server.properties" >>"$home/log" 2>&1 </dev/null &
    echo $! >"$home/pid"
    listening "$port" running "$home" Kafka
    echo "Kafka listens on 127.0.0.1:$port; stop it with: make kafka-down"
}

down() {
    stop running "$home"
    rm -rf "$home/pid" "$home/data" "$home/server.properties"
    echo "Kafka is stopped, its data removed"
}

copy_artifact() {
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy -Dartifact="$1" -DoutputDirectory="$2" </dev/null
}

# The registry, and Avro's own tools, which read what the tests write.
fetch_registry() {
    need java default-jre-headless
    mark="$registry_home/.complete-$registry_version-$avro_version"
    [ -f "$mark" ] && return
    need mvn maven
    rm -rf "$registry_home/lib" "$registry_home/meta" "$registry_home/tools"
    mkdir -p "$registry_home/tools"
    copy_artifact "io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all" "$registry_home"
    tar xzf "$registry_home"/*.tar.gz -C "$registry_home"
    rm "$registry_home"/*.tar.gz
    mv "$registry_home"/apicurio-registry-app-*-runner.jar "$registry_home/runner.jar"
    copy_artifact "org.apache.avro:avro-tools:$avro_version" "$registry_home/tools"
    mv "$registry_home"/tools/avro-tools-*.jar "$registry_home/tools/avro-tools.jar"
    touch "$mark" "$registry_home/.complete"
}

registry_up() {
    fetch_registry
    url="http://127.0.0.1:$registry_port/apis/ccompat/v7"
    if registry_runs; then
        echo "the schema registry runs already: $url"
        return
    fi
    setsid java -Xmx256m -XX:+UseSerialGC -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$registry_port" \
        -Dregistry.ccompat.use-canonical-hash=true -jar "$registry_home/runner.jar" \
        >>"$registry_home/log" 2>&1 </dev/null &
    echo $! >"$registry_home/pid"
    listening "$registry_port" registry_runs "$registry_home" "the schema registry"
    echo "the schema registry listens on $url; stop it with: make registry-down"
}

registry_down() {
    stop registry_runs "$registry_home"
    rm -f "$registry_home/pid"
    echo "the schema registry is stopped; it kept its schemas in memory"
}

case "${1:-}" in
fetch | up | down) "$1" ;;
fetch-registry | registry-up | registry-down) "${1/-/_}" ;;
status) if running; then echo "Kafka listens on 127.0.0.1:$port"; else echo "Kafka does not run"; fi ;;
*)
    echo "usage: kafka.sh fetch|up|down|status|fetch-registry|registry-up|registry-down" >&2
    exit 2
    ;;
esac
