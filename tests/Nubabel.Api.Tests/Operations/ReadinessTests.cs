using Nubabel.Testing;

namespace Nubabel.Api.Tests.Operations;

public sealed class ReadinessTests
{
    /// <summary>The route is open to anybody without a limit, so it must not be a way to keep the database busy.</summary>
    [Fact]
    public async Task However_many_ask_at_once_the_database_is_asked_a_few_times()
    {
        var probes = 0;
        await using var proxy = new PostgresProxy((await TestDatabase.Shared).ApiString, sql =>
        {
            if (sql == "select 1") Interlocked.Increment(ref probes);
            return sql;
        });
        await using var api = await TestApi.Start(await TestDatabase.Shared, settings => settings["ConnectionStrings:Nubabel"] = proxy.ConnectionString);
        var answers = await Task.WhenAll(Enumerable.Range(0, 400).Select(async _ =>
        {
            using var answer = await api.Client.GetAsync("/health/ready");
            return (int)answer.StatusCode;
        }));
        Assert.All(answers, status => Assert.Equal(200, status));
        Assert.InRange(Volatile.Read(ref probes), 1, 100);
    }
}
