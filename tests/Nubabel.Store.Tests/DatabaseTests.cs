using Npgsql;

namespace Nubabel.Store.Tests;

public class DatabaseTests
{
    [Fact]
    public async Task Connections_have_the_settings_that_serving_needs_unless_the_string_says_otherwise()
    {
        await using var plain = Database.Open("main", "Host=/tmp", "Host=/tmp;Max Auto Prepare=7;Application Name=mine;Timeout=9");
        var (api, daemon) = (new NpgsqlConnectionStringBuilder(plain.Api.ConnectionString), new NpgsqlConnectionStringBuilder(plain.Daemon.ConnectionString));
        Assert.Equal((200, 2, 5, "nubabel-api"), (api.MaxAutoPrepare, api.AutoPrepareMinUsages, api.Timeout, api.ApplicationName));
        Assert.Equal((7, 2, 9, "mine"), (daemon.MaxAutoPrepare, daemon.AutoPrepareMinUsages, daemon.Timeout, daemon.ApplicationName));
        Assert.True(api.NoResetOnClose);
        Assert.Contains("statement_timeout=30000", api.Options, StringComparison.Ordinal);
    }
}
