using Nubabel.Domain.Webhooks;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Webhooks;

public sealed class WebhookSourceSpecs : Spec<WebhookSource>
{
    private static readonly ProviderName Github = ProviderName.Parse("github");

    [Fact]
    public void A_source_is_added_once()
    {
        Given().When(Add()).Then(Added());
        Given(Added()).When(Add() with { SecretHash = "p9" }).Refused("webhook_source.exists", RefusalKind.Conflict);
        Given(Added(), Rotated(1, 60)).When(Add()).Refused("webhook_source.exists", RefusalKind.Conflict);
    }

    /// <summary>The same secret is sealed anew each time, so the seal says nothing.</summary>
    [Fact]
    public void It_is_the_same_when_the_secret_is_whatever_its_seal() => Given(Added()).When(Add() with { SealedSecret = "s-other" }).Nothing();

    [Fact]
    public void A_successor_counts_at_once_and_its_predecessor_for_a_while()
    {
        Given(Added()).When(Rotate(0, 60)).Then(Rotated(1, 60));
        var state = Given(Added(), Rotated(1, 60)).State;
        Assert.Equal(["s1", "s0"], state.Secrets(Noon));
        Assert.Equal(["s1", "s0"], state.Secrets(Noon.AddSeconds(59)));
        Assert.Equal(["s1"], state.Secrets(Noon.AddSeconds(60)));
    }

    [Fact]
    public void Never_do_more_than_two_count() => Assert.Equal(["s2", "s1"], Given(Added(), Rotated(1, 600), Rotated(2, 600)).State.Secrets(Noon));

    [Fact]
    public void The_same_secret_once_more_changes_nothing_and_another_one_for_an_old_generation_is_refused()
    {
        Given(Added(), Rotated(1, 60)).When(Rotate(0, 60)).Nothing();
        Given(Added(), Rotated(1, 60)).When(Rotate(0, 60) with { SecretHash = "p9" }).Refused("webhook_source.rotated", RefusalKind.Conflict);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(604_801)]
    public void An_overlap_is_no_longer_than_a_week(int seconds)
    {
        Given(Added()).When(Rotate(0, 604_800)).Then(Rotated(1, 604_800));
        Given(Added()).When(Rotate(0, seconds)).Refused("webhook_source.overlap_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void What_was_removed_never_comes_back()
    {
        Given(Added()).When(new RemoveWebhookSource()).ThenRefusedAgain("webhook_source.missing", new WebhookSourceRemoved());
        Given(Added(), new WebhookSourceRemoved()).When(Rotate(0, 60)).Refused("webhook_source.missing", RefusalKind.Missing);
        Given(Added(), new WebhookSourceRemoved()).When(Add()).Refused("webhook_source.exists", RefusalKind.Conflict);
        Given().When(new RemoveWebhookSource()).Refused("webhook_source.missing", RefusalKind.Missing);
    }

    [Theory]
    [InlineData("github", true)]
    [InlineData("acme-pay", true)]
    [InlineData("7", true)]
    [InlineData("", false)]
    [InlineData("Github", false)]
    [InlineData("acme--pay", false)]
    [InlineData("-acme", false)]
    [InlineData("acme_pay", false)]
    [InlineData("acme\n", false)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false)]
    public void A_provider_has_a_short_name(string text, bool isOne) => Assert.Equal(isOne, ProviderName.TryParse(text, out _));

    private static AddWebhookSource Add() => new(Github, WebhookPreset.Github, "s0", "p0", SourceName.Parse("shop"));
    private static WebhookSourceAdded Added() => new(Github, WebhookPreset.Github, "s0", "p0", SourceName.Parse("shop"));
    private static RotateWebhookSource Rotate(int generation, int overlap) => new(generation, "s1", "p1", overlap);
    private static WebhookSourceRotated Rotated(int generation, int overlap) => new(generation, $"s{generation}", $"p{generation}", Noon.AddSeconds(overlap));
}
