"""Go templates: what docker's client 28 makes of a container's document, and what it complains about."""

import random

import pytest

from ocirun.cli.go_values import typed
from ocirun.cli.template_lexer import TemplateError
from ocirun.cli.templates import Template

DOCUMENT = {
    "Id": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "Created": "2024-01-02T03:04:05.123456789Z",
    "Path": "sleep",
    "Args": ["100", "a b"],
    "State": {
        "Status": "running",
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 1234,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2024-01-02T03:04:06.5Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    },
    "Image": "sha256:abababababababababababababababababababababababababababababababab",
    "Name": "/box",
    "RestartCount": 0,
    "Driver": "overlay2",
    "Platform": "linux",
    "MountLabel": "",
    "ProcessLabel": "",
    "AppArmorProfile": "",
    "ExecIDs": None,
    "HostConfig": {
        "Binds": ["/a:/b:ro"],
        "ContainerIDFile": "",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "NetworkMode": "host",
        "PortBindings": {},
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": False,
        "VolumeDriver": "",
        "VolumesFrom": None,
        "ConsoleSize": [0, 0],
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "CgroupnsMode": "private",
        "Dns": [],
        "ExtraHosts": None,
        "IpcMode": "private",
        "OomKillDisable": None,
        "PidsLimit": None,
        "NanoCpus": 0,
        "Memory": 0,
        "Ulimits": None,
        "Privileged": False,
        "ReadonlyRootfs": False,
        "Init": None,
        "MaskedPaths": ["/proc/a"],
        "ReadonlyPaths": ["/x"],
    },
    "GraphDriver": {"Data": {"LowerDir": "/l", "UpperDir": "/u"}, "Name": "overlay2"},
    "SizeRw": 12345,
    "Mounts": [
        {"Type": "bind", "Source": "/a", "Destination": "/b", "Mode": "ro", "RW": False, "Propagation": "rprivate"},
        {
            "Type": "volume",
            "Name": "v",
            "Source": "/vv",
            "Destination": "/c",
            "Driver": "local",
            "Mode": "z",
            "RW": True,
            "Propagation": "",
        },
    ],
    "Config": {
        "Hostname": "h",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "ExposedPorts": {"80/tcp": {}},
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": ["PATH=/bin", "X=<y>"],
        "Cmd": ["sleep", "100"],
        "Image": "debian:12",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": {"b": "2", "a": "1"},
    },
    "NetworkSettings": {
        "Bridge": "",
        "SandboxID": "",
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None},
        "IPAddress": "1.2.3.4",
        "Networks": {"bridge": {"IPAMConfig": None, "Links": None, "Aliases": None, "IPAddress": "1.2.3.4"}},
    },
}

# Each pair was checked against docker 28.2: the client was given this document by a server that answers nothing else.
# fmt: off
TEXTS = [
    ('{{.Id}}', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'),
    ('{{.ID}}', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'),
    ('{{.State.Pid}}', '1234'),
    ('{{.Config.Labels}}', 'map[a:1 b:2]'),
    ('{{.Config.Cmd}} {{.Config.Entrypoint}} {{.Config.Volumes}} {{.ExecIDs}}', '[sleep 100] [] map[] []'),
    ('{{json .Config}}', '{"Hostname":"h","Domainname":"","User":"","AttachStdin":false,"AttachStdout":true,"AttachStderr":true,"ExposedPorts":{"80/tcp":{}},"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["PATH=/bin","X=<y>"],"Cmd":["sleep","100"],"Image":"debian:12","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":{"a":"1","b":"2"}}'),
    ('{{json .Config.Labels}} {{json .Config.Env}} {{json .Mounts}}', '{"a":"1","b":"2"} ["PATH=/bin","X=<y>"] [{"Type":"bind","Source":"/a","Destination":"/b","Mode":"ro","RW":false,"Propagation":"rprivate"},{"Type":"volume","Name":"v","Source":"/vv","Destination":"/c","Driver":"local","Mode":"z","RW":true,"Propagation":""}]'),
    ('{{json .NetworkSettings.Ports}}', '{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}],"81/tcp":null}'),
    ('{{.NetworkSettings.Ports}}', 'map[80/tcp:[{0.0.0.0 8080}] 81/tcp:[]]'),
    ('{{range $k,$v := .Config.Labels}}{{$k}}={{$v}},{{end}}', 'a=1,b=2,'),
    ('{{range .Mounts}}{{.Source}}:{{.Destination}} {{.RW}};{{end}}', '/a:/b false;/vv:/c true;'),
    ('{{.Mounts}}', '[{bind  /a /b  ro false rprivate} {volume v /vv /c local z true }]'),
    ('{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}', '8080'),
    ('{{index .NetworkSettings.Ports "99/tcp"}}', '<no value>'),
    ('{{index .Config.Labels "a"}}|{{index .Config.Labels "zz"}}|', '1||'),
    ('{{.Config.Labels.a}} {{.Config.Labels.zz}}', '1 <no value>'),
    ('{{.State.Health}}', '<nil>'),
    ('{{if .State.Health}}x{{else}}none{{end}}', 'none'),
    ('{{.HostConfig.OomKillDisable}} {{.HostConfig.PidsLimit}} {{.HostConfig.Init}}', '<nil> <nil> <nil>'),
    ('{{.HostConfig.LogConfig}} {{.HostConfig.LogConfig.Config}}', '{json-file map[max-file:3 max-size:10m]} map[max-file:3 max-size:10m]'),
    ('{{.HostConfig.NetworkMode}} {{.HostConfig.RestartPolicy}} {{.HostConfig.RestartPolicy.Name}}', 'host {no 0} no'),
    ('{{.GraphDriver}} {{.GraphDriver.Data}} {{.GraphDriver.Data.LowerDir}}', '{map[LowerDir:/l UpperDir:/u] overlay2} map[LowerDir:/l UpperDir:/u] /l'),
    ('{{.NetworkSettings.IPAddress}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', '1.2.3.4 1.2.3.4'),
    ('{{.NetworkSettings.Networks.bridge.IPAddress}}', '1.2.3.4'),
    ('{{with .State}}{{.Pid}}{{end}}', '1234'),
    ('{{if and .State.Running (eq .State.Pid 1234)}}yes{{else if .Id}}no{{end}}', 'yes'),
    ('{{.Id}}}}', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef}}'),
    ('{{printf "%-10s|%5d|%05d|%x|%q|%v|%T" .State.Status .State.Pid 42 "hi" "q" .Config.Cmd "x"}}', 'running   | 1234|00042|6869|"q"|[sleep 100]|string'),
    ('{{printf "%s %d %v" "a"}}', 'a %!d(MISSING) %!v(MISSING)'),
    ('{{printf "%d" "a"}}', '%!d(string=a)'),
    ('{{printf "%s" 3}}', '%!s(int=3)'),
    ('{{printf "%s %s" .Config.Cmd .Config.Labels}}', '[sleep 100] map[a:1 b:2]'),
    ('{{printf "%t %v %8.3f|%-8v|%+d" true false 3.14159 "x" 5}}', 'true false    3.142|x       |+5'),
    ('{{printf "a" 1 2}}', 'a%!(EXTRA int=1, int=2)'),
    ('{{printf "%%|%c|%U|%X" 65 65 255}}', '%|A|U+0041|FF'),
    ('{{print 1 2 "a" "b" 3 4}}', '1 2ab3 4'),
    ('{{println "a" 1}}', 'a 1\n'),
    ('{{- /* c */ -}} x {{- .Name -}}  y', 'x/boxy'),
    ('{{title "hello world"}} {{upper .Name}} {{lower "ABC"}} {{join .Config.Cmd "+"}}', 'Hello World /BOX abc sleep+100'),
    ('{{split "a,b,c" ","}} {{json (split "a,b" ",")}}', '[a b c] ["a","b"]'),
    ('{{pad "x" 2 3}}| {{truncate "abcdef" 3}} {{truncate "ab" 5}}', '  x   | abc ab'),
    ('{{$x := .Id}}{{$x}}{{$x = "q"}}{{$x}}', '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefq'),
    ('{{range $i, $e := .Config.Cmd}}{{if $i}}, {{end}}{{$e | printf "%q"}}{{else}}none{{end}}', '"sleep", "100"'),
    ('{{range .Config.Entrypoint}}x{{else}}empty{{end}}', 'empty'),
    ('{{range 3}}{{.}}{{end}}', '012'),
    ('{{range .Config.Cmd}}{{if eq . "sleep"}}{{continue}}{{end}}{{.}}{{end}}', '100'),
    ('{{eq .Id .Name "x"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 3 2}} {{ge 1 2}}', 'false true true true true false'),
    ('{{not true}} {{not ""}} {{and 1 0}} {{or 0 "x"}} {{or 0 ""}}', 'false true 0 x '),
    ('{{html "<a href=\'x\'>&\\""}} {{urlquery "a b&c"}} {{js "it\'s <x>"}}', "&lt;a href=&#39;x&#39;&gt;&amp;&#34; a+b%26c it\\'s \\u003Cx\\u003E"),
    ('{{slice "abcdef" 1 3}} {{slice .Config.Cmd 1}}', 'bc [100]'),
    ('{{.Id | upper | printf "%s-%s" "x"}}', 'x-0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF'),
    ('{{"a\\tb\\"c"}} {{`raw\\n`}} {{\'a\'}} {{1_000}} {{0x10}} {{1e3}} {{1.5}} {{100000000000.0}} {{1e21}} {{0.00001}}', 'a\tb"c raw\\n 97 1000 16 1000 1.5 1e+11 1e+21 1e-05'),
    ('{{print nil}}', '<nil>'),
    ('{{json nil}} {{json 1.5}} {{json "<a>&"}}', 'null 1.5 "<a>&"'),
    ('{{(.State).Pid}} {{(index .Mounts 0).Type}}', '1234 bind'),
    ('{{.Config.Env}} {{index .Config.Env 1}} {{json .Config.Env}}', '[PATH=/bin X=<y>] X=<y> ["PATH=/bin","X=<y>"]'),
    ('{{with $x := .Name}}{{$x}}{{end}}', '/box'),
    ('{{with .Config.Entrypoint}}a{{else}}b{{end}}', 'b'),
    ('{{.Config.ExposedPorts}} {{json .Config.ExposedPorts}}', 'map[80/tcp:{}] {"80/tcp":{}}'),
    ('{{range $p, $_ := .Config.ExposedPorts}}{{$p}}{{end}}', '80/tcp'),
    ('{{.SizeRw}} {{.Created}} {{.RestartCount}} {{.Args}} {{.HostConfig.ConsoleSize}}', '12345 2024-01-02T03:04:05.123456789Z 0 [100 a b] [0 0]'),
    ('{{index .Mounts 0 }}', '{bind  /a /b  ro false rprivate}'),
    ('{{if gt (len .Mounts) 1}}many{{end}}', 'many'),
    ('{{if not .State.Paused}}np{{end}}', 'np'),
    ('{{.State.StartedAt}} {{.Config.Image}} {{.Config.Tty}}', '2024-01-02T03:04:06.5Z debian:12 false'),
    ('{{123456789.0}} {{1000000.5}} {{999999.0}} {{12345678901234567890123.0}} {{printf "%v %g %f %.2f %e" 123456789.0 123456789.0 1.5 1.5 1.5}}', '1.23456789e+08 1.0000005e+06 999999 1.2345678901234568e+22 1.23456789e+08 1.23456789e+08 1.500000 1.50 1.500000e+00'),
    ('{{range .Mounts}}[{{.Name}} {{.Driver}}]{{end}}', '[ ][v local]'),
    ('{{if .State.Health}}x{{end}}{{.Config.Healthcheck}} {{.Config.StopSignal}}| {{.HostConfig.Tmpfs}} {{.HostConfig.Init}}', '<nil> | map[] <nil>'),
    ('{{json .State.Health}}', 'null'),
    ('{{js "a\'b\\"c<"}}', 'a\\\'b\\"c\\u003C'),
]

ERRORS = [
    ('{{(index (index .NetworkSettings.Ports "99/tcp") 0).HostPort}}', 'template: :1:3: executing "" at <index (index .NetworkSettings.Ports "99/tcp") 0>: error calling index: index of untyped nil'),
    ('{{.Foo}}', 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
    ('{{.Config.Foo}}', 'template: :1:9: executing "" at <.Config.Foo>: map has no entry for key "Foo"'),
    ('{{.State.Health.Status}}', 'template: :1:8: executing "" at <.State.Health.Status>: map has no entry for key "Health"'),
    ('{{index .Config.Cmd 5}}', 'template: :1:2: executing "" at <index .Config.Cmd 5>: error calling index: index out of range: 5'),
    ('{{index .Config.Cmd "a"}}', 'template: :1:2: executing "" at <index .Config.Cmd "a">: error calling index: cannot index slice/array with type string'),
    ('{{len 3}}', 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'),
    ('{{foo}}', 'template: :1: function "foo" not defined'),
    ('{{', 'template: :1: unclosed action'),
    ('{{if .x}}', 'template: :1: unexpected EOF'),
    ('{{.Id', 'template: :1: unclosed action'),
    ('{{end}}', 'template: :1: unexpected {{end}}'),
    ('{{else}}', 'template: :1: unexpected {{else}}'),
    ('{{ .Id.x }}', 'template: :1:6: executing "" at <.Id.x>: can\'t evaluate field x in type interface {}'),
    ('{{.}}x{{if}}', 'template: :1: missing value for if'),
    ('{{if .Id}}a{{else}}b{{else}}c{{end}}', 'template: :1: expected end; found {{else}}'),
    ('{{$y}}', 'template: :1: undefined variable "$y"'),
    ('{{range .Id}}x{{end}}', 'template: :1:8: executing "" at <.Id>: range can\'t iterate over 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'),
    ('{{range .Config.Cmd}}{{.}}{{break}}{{end}}{{break}}', 'template: :1: {{break}} outside {{range}}'),
    ('{{eq 1 1.0}}', 'template: :1:2: executing "" at <eq 1 1.0>: error calling eq: incompatible types for comparison'),
    ('{{eq "a" 1}}', 'template: :1:2: executing "" at <eq "a" 1>: error calling eq: incompatible types for comparison'),
    ('{{lt "a" "b"}} {{lt true false}}', 'template: :1:17: executing "" at <lt true false>: error calling lt: invalid type for comparison'),
    ('{{and}}', 'template: :1:2: executing "" at <and>: wrong number of args for and: want at least 1 got 0'),
    ('{{not}}', 'template: :1:2: executing "" at <not>: wrong number of args for not: want 1 got 0'),
    ('{{eq}}', 'template: :1:2: executing "" at <eq>: wrong number of args for eq: want at least 1 got 0'),
    ('{{slice "abc" 5}}', 'template: :1:2: executing "" at <slice "abc" 5>: error calling slice: index out of range: 5'),
    ('{{.Name.Foo.Bar}}', 'template: :1:7: executing "" at <.Name.Foo.Bar>: can\'t evaluate field Foo in type interface {}'),
    ('{{.Config.Cmd.Foo}}', 'template: :1:9: executing "" at <.Config.Cmd.Foo>: can\'t evaluate field Foo in type interface {}'),
    ('{{true}} {{nil}}', 'template: :1:11: executing "" at <nil>: nil is not a command'),
    ('{{.Id .Name}}', 'template: :1:2: executing "" at <.Id>: Id is not a method but has arguments'),
    ('{{3 4}}', 'template: :1:2: executing "" at <3>: can\'t give argument to non-function 3'),
    ('{{"a" | 3}}', 'template: :1: non executable command in pipeline stage 2'),
    ('{{()}}', 'template: :1: missing value for parenthesized pipeline'),
    ('{{(.Id}}', 'template: :1: unclosed left paren'),
    ('{{.Id)}}', 'template: :1: unexpected right paren'),
    ('{{#}}', 'template: :1: unexpected "#" in command'),
    ('{{"abc}}', 'template: :1: unterminated quoted string'),
    ('{{ .Name }}{{"\\n"}}{{ .Foo }}', 'template: :1:22: executing "" at <.Foo>: map has no entry for key "Foo"'),
    ('{{index}}', 'template: :1:2: executing "" at <index>: wrong number of args for index: want at least 1 got 0'),
    ('{{.State.Running.Foo}}', 'template: :1:8: executing "" at <.State.Running.Foo>: can\'t evaluate field Foo in type interface {}'),
    ('{{range $i, $m := .Mounts}}{{$i}}{{$m.Type}}{{$m.Foo}}{{end}}', 'template: :1:48: executing "" at <$m.Foo>: map has no entry for key "Foo"'),
    ('{{.HostConfig.MaskedPaths}}{{/* unclosed', 'template: :1: unclosed comment'),
    ('{{range}}', 'template: :1: missing value for range'),
]
# fmt: on


@pytest.mark.parametrize("template,expected", TEXTS)
def test_text_is_that_of_docker(template: str, expected: str) -> None:
    assert Template(template).execute(typed(DOCUMENT)) == expected


@pytest.mark.parametrize("template,expected", ERRORS)
def test_error_is_that_of_docker(template: str, expected: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template).execute(typed(DOCUMENT))
    assert str(caught.value) == expected


def test_own_errors_name_what_is_left_out() -> None:
    with pytest.raises(TemplateError, match=r"\{\{define\}\} is not supported by ocirun"):
        Template('{{define "x"}}{{end}}')


def test_pipeline_feeds_the_last_argument() -> None:
    assert Template('{{"b" | printf "%s%s" "a" | upper}}').execute({}) == "AB"


def test_variables_end_with_their_block() -> None:
    with pytest.raises(TemplateError, match=r'undefined variable "\$x"'):
        Template("{{if true}}{{$x := 1}}{{end}}{{$x}}")


def test_assignment_reaches_the_outer_variable() -> None:
    template = Template("{{$n := 0}}{{range .}}{{$n = .}}{{end}}{{$n}}")
    assert template.execute([1, 2, 3]) == "3"


def test_position_counts_lines() -> None:
    with pytest.raises(TemplateError, match="template: :2:4: executing"):
        Template("one\nt {{.Foo}}").execute({"Bar": 1})


PIECES = """.Id .Config.Labels .Config.Cmd .Config.Entrypoint .State .State.Health .Mounts . $ $x := = , | ( ) "a" `b` 'c' 1 1.5 -1 0x1 true nil
index len printf "%s%d%q%v" "%*d" json join split upper pad truncate eq lt and or not slice print println html js if else end range with
break continue /* */ {{ }} {{- -}} 99999999999999999999""".split()


@pytest.mark.parametrize("seed", range(4))
def test_any_text_is_a_template_or_a_template_error(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose
    for _ in range(3000):
        words = " ".join(chance.choices(PIECES, k=chance.randint(1, 8)))
        source = chance.choice(["{{ %s }}", "%s", "{{range .Config.Cmd}}%s{{end}}", "{{%s}}"]) % words
        try:
            Template(source).execute(typed(DOCUMENT))
        except TemplateError:
            continue
