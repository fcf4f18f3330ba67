using System.Text.Json;
using Nubabel.Domain;
using Nubabel.Domain.Webhooks;
using Nubabel.Projections.Webhooks;

namespace Nubabel.Projections.Tests.Webhooks;

public sealed class WebhookSourceListTests
{
    private static readonly Id<WebhookSource> Id = Id<WebhookSource>.Parse("0198aaaa-0000-7000-8000-0000000000d1");
    private static readonly WebhookSourceAdded Added = new(ProviderName.Parse("github"), WebhookPreset.Github, "sealed-text", "hash-of-it", SourceName.Parse("shop"));

    [Fact]
    public void A_source_is_shown_without_its_secret()
    {
        var row = Fold(Added)!;
        Assert.Equal((Id, "shop", WebhookPreset.Github, "github", Given.Noon, 0), (row.Id, row.Name!.Value, row.Preset, row.Provider.Value, row.AddedAt, row.Generation));
        var json = JsonSerializer.Serialize(row, StoredJson.Options);
        foreach (var secret in (string[])["sealed-text", "hash-of-it"]) Assert.DoesNotContain(secret, json, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rotated_one_says_until_when_the_old_secret_counts()
    {
        var row = Fold(Added, new WebhookSourceRotated(1, "s1", "h1", Given.Noon.AddHours(1)))!;
        Assert.Equal((1, Given.Noon.AddMinutes(1), Given.Noon.AddHours(1)), (row.Generation, row.RotatedAt, row.PreviousValidUntil));
    }

    [Fact]
    public void A_removed_one_is_gone() => Assert.Null(Fold(Added, new WebhookSourceRemoved()));

    [Fact]
    public void An_event_of_another_writer_before_the_first_shows_nothing() => Assert.Null(Fold(new WebhookSourceRotated(1, "s1", "h1", Given.Noon)));

    private static WebhookSourceRow? Fold(params Event<WebhookSource>[] events) => Given.Fold<WebhookSourceRow>(WebhookSourceList.Evolve, Given.Stream(Id, events));
}
