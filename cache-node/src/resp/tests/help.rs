//! What a person at a prompt is told of the commands that have subcommands.

use ringcache_wire::table::COMMANDS;

use super::Server;

#[test]
fn help_lists_every_subcommand_with_its_arguments() {
    let server = Server::start();
    let mut client = server.connect();
    client.check(&[
        (
            "CONFIG HELP",
            "*3\r\n+CONFIG <subcommand> [<arg> ...]. Subcommands are:\r\n+GET <arg> [<arg> ...]\r\n+HELP\r\n",
        ),
        (
            "COMMAND HELP",
            "*7\r\n+COMMAND <subcommand> [<arg> ...]. Subcommands are:\r\n+COUNT\r\n+DOCS [<arg> ...]\r\n\
             +GETKEYS <arg> [<arg> ...]\r\n+HELP\r\n+INFO [<arg> ...]\r\n+LIST [<arg> ...]\r\n",
        ),
        ("CONFIG HELP me", "-ERR wrong number of arguments for 'config|help' command\r\n"),
    ]);
    assert!(client.ask("CLUSTER help").contains("\r\n+GETKEYSINSLOT <arg> <arg>\r\n"));
    assert!(client.ask("CLIENT HELP").contains("\r\n+NO-TOUCH <arg>\r\n"));
}

#[test]
fn who_is_told_to_try_something_gets_an_answer_there() {
    let server = Server::start();
    let mut client = server.connect();
    let containers = COMMANDS.iter().filter(|spec| !spec.subcommands.is_empty());
    for container in containers {
        let error = client.ask(&format!("{} NOPE", container.name));
        let (_, advice) = error.split_once(" Try ").unwrap();
        let answer = client.ask(advice.trim_end().trim_end_matches('.'));
        let lines = container.subcommands.len() + 1;
        assert!(answer.starts_with(&format!("*{lines}\r\n+")), "{error}{answer}");
    }
}
