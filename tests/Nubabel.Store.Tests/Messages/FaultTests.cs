using Npgsql;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Messages;

/// <summary>What a process says of its own work on messages.</summary>
public sealed class FaultTests
{
    [Theory]
    [InlineData("nubabel.message_ids", "old message ids")]
    [InlineData("nubabel.letters_expire", "old dead letters")]
    [InlineData("insert into nubabel.workers", "queue")]
    public async Task What_comes_round_seldom_or_never_and_failed_once_is_told_of_until_it_works_and_not_until_it_comes_round_again(string statement, string loop)
    {
        var database = await TestDatabase.Shared;
        var isCut = true;
        await using var proxy = new PostgresProxy(database.DaemonString, sql => Volatile.Read(ref isCut) && sql.Contains(statement, StringComparison.Ordinal) ? throw new IOException("cut") : sql);
        await using var source = NpgsqlDataSource.Create(proxy.ConnectionString);
        var queue = MessageNode.Queue();
        var outbox = new Outbox(MessageNode.TypesOf(QueueOptions.Fast(queue)));
        await using var daemon = new MessageDaemon(source, database.DaemonString, new MessageHandlers(outbox.Types).On<Note>((_, _) => Task.CompletedTask), outbox, (_, _) => throw new InvalidOperationException());
        daemon.Start();
        await TestWait.Until("it says so", () => Task.FromResult(Says()));
        Volatile.Write(ref isCut, false);
        await TestWait.Until("it works again, and says no more", () => Task.FromResult(!Says()));

        bool Says() => daemon.Errors.Any(e => e.StartsWith(loop == "queue" ? $"queue {queue}: " : $"{loop}: ", StringComparison.Ordinal));
    }
}
