using System.Globalization;
using Npgsql;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Races;

/// <summary>The log alone, carried into a fresh database and folded there: what the read models must be, whatever happened to those who kept them.</summary>
internal static class LogCopy
{
    private static readonly string[] Tables = ["events.mt_streams", "events.mt_events"];

    /// <summary>The read models of which the live rows are not what the log says.</summary>
    public static async Task<List<string>> Differences(TestDatabase live)
    {
        await using var copy = await TestDatabase.New(live.Server);
        foreach (var table in Tables) await Carry(live.Superuser, copy.Superuser, table);
        var last = await copy.Scalar<long>("select max(seq_id) from events.mt_events");
        var positions = new Store.Positions(copy.Database.Daemon, ReadModels.All);
        var different = new List<string>();
        await using var daemon = new ProjectionDaemon(copy.Database.Daemon, copy.DaemonString, ReadModels.All, new Signal(), positions);
        daemon.Start();
        foreach (var model in ReadModels.All.All)
        {
            var (reached, have) = await positions.Reached(model.Name, last, TimeSpan.FromSeconds(60), default);
            Assert.True(reached, $"{model.Name} stands at {have} and not at {last}.");
            if (await Sum(live, model) is var rows && await Sum(copy, model) is var folded && rows != folded) different.Add($"{model.Name}: {rows}, but the log says {folded}");
        }
        return different;
    }

    private static Task<string> Sum(TestDatabase database, Projection model) => database.Scalar<string>(string.Create(CultureInfo.InvariantCulture,
        $"select count(*) || ' rows ' || coalesce(md5(string_agg(t::text, E'\\n' order by t::text)), '') from read.{model.Name}_v{model.Version} t"));

    private static async Task Carry(NpgsqlDataSource from, NpgsqlDataSource to, string table)
    {
        await using var source = await from.OpenConnectionAsync();
        await using var target = await to.OpenConnectionAsync();
        await using var rows = await source.BeginRawBinaryCopyAsync($"copy {table} to stdout (format binary)");
        await using var into = await target.BeginRawBinaryCopyAsync($"copy {table} from stdin (format binary)");
        await rows.CopyToAsync(into);
    }
}
