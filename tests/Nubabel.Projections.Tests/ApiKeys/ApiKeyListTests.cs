using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.ApiKeys;
using Nubabel.Projections.ApiKeys;

namespace Nubabel.Projections.Tests.ApiKeys;

public sealed class ApiKeyListTests
{
    private static readonly Id<ApiKey> Id = Id<ApiKey>.Parse("0198aaaa-0000-7000-8000-0000000000d1");
    private static readonly DateTimeOffset Expires = Given.Noon.AddDays(1);
    private static readonly ApiKeyMade Made = new(ApiKeyName.Parse("nightly"), [Scope.Parse("members:read")], "hash-of-it", "user:0198aaaa-0000-7000-8000-000000000002", 3, Expires);
    private static readonly ApiKeyRow Row = new(
        Id, null, Made.Name, "nbk.0198aaaa-0000-7000-8000-000000000001.0198aaaa-0000-7000-8000-0000000000d1.0.", Made.Scopes, ApiKeyStatus.Active, Given.Noon, Made.Maker, Expires, null, null, 0, null, null);

    [Fact]
    public void A_key_is_shown_with_its_prefix_and_without_its_hash()
    {
        var row = Fold(Made)!;
        Assert.Equal(Row, row with { Scopes = Row.Scopes });
        Assert.DoesNotContain("hash-of-it", JsonSerializer.Serialize(row, StoredJson.Options), StringComparison.Ordinal);
    }

    [Fact]
    public void A_rotated_key_has_another_prefix_and_says_until_when_the_old_one_works()
    {
        var row = Fold(Made, new ApiKeyRotated(1, "h1", Given.Noon.AddHours(1), 3540))!;
        Assert.Equal((1, Given.Noon.AddMinutes(1), Given.Noon.AddHours(1)), (row.Generation, row.RotatedAt, row.PreviousValidUntil));
        Assert.EndsWith(".1.", row.Prefix, StringComparison.Ordinal);
    }

    [Fact]
    public void No_secret_works_longer_than_its_key() => Assert.Equal(Expires, Fold(Made, new ApiKeyRotated(1, "h1", Expires.AddDays(3), 1))!.PreviousValidUntil);

    [Fact]
    public void A_revoked_key_stays_in_the_list()
    {
        var row = Fold(Made, new ApiKeyRevoked())!;
        Assert.Equal((ApiKeyStatus.Revoked, Given.Noon.AddMinutes(1)), (row.Status, row.RevokedAt));
        Assert.Equal(ApiKeyStatus.Revoked, row.At(Expires, null).Status);
    }

    [Fact]
    public void That_time_has_passed_is_seen_when_it_is_read()
    {
        Assert.Equal((ApiKeyStatus.Expired, Given.Noon), (Row.At(Expires, Given.Noon).Status, Row.At(Expires, Given.Noon).LastUsedAt));
        Assert.Equal(ApiKeyStatus.Active, Row.At(Expires.AddTicks(-1), null).Status);
        Assert.Equal(ApiKeyStatus.Active, (Row with { ExpiresAt = null }).At(Expires, null).Status);
    }

    [Fact]
    public void An_event_of_another_writer_before_the_first_shows_nothing() => Assert.Null(Fold(new ApiKeyRotated(1, "h1", Given.Noon, 0), new ApiKeyRevoked()));

    private static ApiKeyRow? Fold(params Event<ApiKey>[] events) => Given.Fold<ApiKeyRow>(ApiKeyList.Evolve, Given.Stream(Id, events));
}
