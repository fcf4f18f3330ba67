using Microsoft.Extensions.DependencyInjection;
using Nubabel.Api.Host;
using Nubabel.Api.Host.Tokens;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Rates;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Host.Tokens;

/// <summary>What a node remembers of the signing keys while its time of day is set.</summary>
public sealed class SigningKeysTests
{
    /// <summary>It waits for no longer than a look at the keys is apart from the last; on a clock that is set back by two months it could not even wait.</summary>
    [Theory]
    [InlineData(-1)]
    [InlineData(-60 * 24)]
    public async Task A_key_that_a_node_does_not_know_is_found_though_its_clock_was_set_back(int hours)
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var time = new MovableTime();
        using var keys = Of(api, time);
        Assert.Null(await keys.Verifying("made-up", default));

        time.Move(TimeSpan.FromHours(hours));
        var (kid, _) = await api.Services.GetRequiredService<SigningKeys>().Rotate(TimeSpan.Zero, default);
        Assert.NotNull(await keys.Verifying(kid, default).AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Null(await keys.Verifying("made-up", default).AsTask().WaitAsync(TimeSpan.FromSeconds(20)));
    }

    [Fact]
    public async Task The_keys_are_looked_at_again_though_the_clock_was_set_back()
    {
        await using var database = await TestDatabase.New();
        await using var api = await TestApi.Start(database);
        var time = new StillTime();
        using var keys = Of(api, time);
        var before = await keys.Published(default);
        var (kid, _) = await api.Services.GetRequiredService<SigningKeys>().Rotate(TimeSpan.Zero, default);

        time.Set(TimeSpan.FromHours(-1));
        Assert.Equal(before.Keys, (await keys.Published(default)).Keys);
        time.Move(TimeSpan.FromSeconds(31));
        Assert.Contains((await keys.Published(default)).Keys, k => k.Kid == kid);
    }

    private static SigningKeys Of(TestApi api, TimeProvider time)
    {
        var node = api.Services.GetRequiredService<Node>();
        return new SigningKeys(node.Database, node.Masters, time);
    }
}
