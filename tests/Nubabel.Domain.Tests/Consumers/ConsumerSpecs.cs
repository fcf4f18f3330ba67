using Nubabel.Domain.Consumers;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Consumers;

public sealed class ConsumerSpecs : Spec<Consumer>
{
    private static readonly ConsumerName Name = ConsumerName.Parse("billing");
    private static readonly EndpointUrl Url = EndpointUrl.Parse("https://hooks.example.com/nubabel");
    private static readonly PublicType Joined = PublicType.Parse("nubabel.member.joined.v1"), Left = PublicType.Parse("nubabel.member.left.v1");

    [Fact]
    public void A_consumer_is_made() => Given().When(Create()).Then(Created());

    [Fact]
    public void Making_it_once_more_changes_nothing_whatever_place_and_secret_it_is_given_then() =>
        Given(Created()).When(Create() with { Slot = 9, SealedSecret = "s9" }).Nothing();

    [Fact]
    public void An_id_is_not_used_for_another_consumer() => Given(Created()).When(Create() with { Ordered = true }).Refused("consumer.exists", RefusalKind.Conflict);

    [Fact]
    public void It_wants_one_to_a_hundred_types_each_once_or_all()
    {
        IReadOnlyList<PublicType> hundred = [.. Enumerable.Range(1, 100).Select(i => PublicType.Parse($"nubabel.member.joined.v{i}"))];
        Given().When(Create() with { Types = hundred }).Then(Created() with { Types = hundred });
        Given().When(Create() with { Types = [PublicType.All] }).Then(Created() with { Types = [PublicType.All] });
        foreach (var wrong in new IReadOnlyList<PublicType>[] { [], [.. hundred, PublicType.Parse("nubabel.member.joined.v101")], [Joined, Joined], [Joined, PublicType.All] })
        {
            Given().When(Create() with { Types = wrong }).Refused("consumer.types_invalid", RefusalKind.Invalid);
            Given(Created()).When(new ChangeConsumer(Types: wrong)).Refused("consumer.types_invalid", RefusalKind.Invalid);
        }
    }

    [Fact]
    public void A_change_says_what_has_changed_and_nothing_else()
    {
        var (name, url, text) = (ConsumerName.Parse("new"), EndpointUrl.Parse("https://hooks.example.com/v2"), ConsumerDescription.Parse("for the bills"));
        Given(Created()).When(new ChangeConsumer(name, url, [Left], true, text)).Then(
            new ConsumerRenamed(name), new ConsumerUrlChanged(url), new ConsumerTypesChosen([Left]), new ConsumerOrderChanged(true), new ConsumerDescribed(text));
        Given(Created()).When(new ChangeConsumer(Name, Url, [Joined], false, ConsumerDescription.Parse(""))).Nothing();
        Given(Created(), new ConsumerDescribed(text)).When(new ChangeConsumer(Description: ConsumerDescription.Parse(""))).Then(new ConsumerDescribed(ConsumerDescription.Parse("")));
        Given(Created()).When(new ChangeConsumer()).Nothing();
    }

    [Fact]
    public void A_pause_ends_with_an_activation()
    {
        Given(Created()).When(new PauseConsumer()).Then(new ConsumerPaused());
        Given(Created(), new ConsumerPaused()).When(new PauseConsumer()).Nothing();
        Given(Created(), new ConsumerPaused()).When(new ActivateConsumer()).Then(new ConsumerActivated());
        Given(Created()).When(new ActivateConsumer()).Nothing();
    }

    [Fact]
    public void A_disabled_consumer_is_activated_and_not_paused()
    {
        var disabled = new ConsumerDisabled(DisabledBecause.Failing, Noon.AddDays(-5));
        Given(Created()).When(new DisableConsumer(DisabledBecause.Failing, Noon.AddDays(-5))).Then(disabled);
        Given(Created(), disabled).When(new DisableConsumer(DisabledBecause.Gone)).Nothing();
        Given(Created(), disabled).When(new PauseConsumer()).Refused("consumer.disabled", RefusalKind.Conflict);
        Given(Created(), disabled).When(new ResendDelivery(Guid.Empty, 1)).Refused("consumer.disabled", RefusalKind.Conflict);
        Given(Created(), disabled).When(new ActivateConsumer()).Then(new ConsumerActivated());
    }

    [Fact]
    public void A_rotated_secret_signs_beside_its_successor_until_the_overlap_is_over()
    {
        Given(Created()).When(new RotateConsumerSecret(0, "s1", 60)).Then(Rotated(1, 60));
        var state = Given(Created(), Rotated(1, 60)).State;
        Assert.Equal(["s1", "s0"], state.SecretsAt(Noon.AddSeconds(59)));
        Assert.Equal(["s1"], state.SecretsAt(Noon.AddSeconds(60)));
    }

    [Fact]
    public void The_overlap_ends_early_when_somebody_wants_it()
    {
        Given(Created(), Rotated(1, 60)).When(new EndConsumerOverlap()).Then(new ConsumerOverlapEnded());
        Given(Created(), Rotated(1, 60)).At(Noon.AddSeconds(60)).When(new EndConsumerOverlap()).Nothing();
        Given(Created()).When(new EndConsumerOverlap()).Nothing();
        Assert.Equal(["s1"], Given(Created(), Rotated(1, 60), new ConsumerOverlapEnded()).State.SecretsAt(Noon));
    }

    [Fact]
    public void A_rotation_that_is_repeated_gets_the_same_successor_for_half_a_minute()
    {
        var rotated = Given(Created(), Rotated(1, 60));
        rotated.At(Noon.AddSeconds(29)).When(new RotateConsumerSecret(1, "s2", 60)).Nothing();
        rotated.At(Noon.AddSeconds(30)).When(new RotateConsumerSecret(1, "s2", 60)).Then(new ConsumerSecretRotated(2, "s2", Noon.AddSeconds(90), 60));
        rotated.At(Noon.AddSeconds(29)).When(new RotateConsumerSecret(1, "s2", 0)).Then(new ConsumerSecretRotated(2, "s2", Noon.AddSeconds(29), 0));
        rotated.At(Noon.AddSeconds(30)).When(new RotateConsumerSecret(0, "s2", 60)).Refused("consumer.rotated", RefusalKind.Conflict);
    }

    [Fact]
    public void An_overlap_has_at_most_a_week()
    {
        Given(Created()).When(new RotateConsumerSecret(0, "s1", Consumer.MostOverlapSeconds)).Then(Rotated(1, Consumer.MostOverlapSeconds));
        Given(Created()).When(new RotateConsumerSecret(0, "s1", Consumer.MostOverlapSeconds + 1)).Refused("consumer.overlap_invalid", RefusalKind.Invalid);
        Given(Created()).When(new RotateConsumerSecret(0, "s1", -1)).Refused("consumer.overlap_invalid", RefusalKind.Invalid);
    }

    [Fact]
    public void Each_resend_is_recorded() => Given(Created(), new ConsumerDeliveryResent(Guid.Empty, 1)).When(new ResendDelivery(Guid.Empty, 1)).Then(new ConsumerDeliveryResent(Guid.Empty, 1));

    [Fact]
    public void Each_replay_is_recorded() => Given(Created()).When(new NoteReplay(Guid.Empty, 1, 9, 3)).Then(new ConsumerReplayed(Guid.Empty, 1, 9, 3));

    [Fact]
    public void A_removed_consumer_is_there_no_more()
    {
        Given(Created()).When(new RemoveConsumer()).ThenRefusedAgain("consumer.missing", new ConsumerRemoved());
        Given().When(new PauseConsumer()).Refused("consumer.missing", RefusalKind.Missing);
    }

    [Fact]
    public void A_living_consumer_holds_its_name_and_its_place_and_a_removed_one_neither()
    {
        Given(Created()).Holds("consumer-name=billing", "consumer-slot=3");
        Given(Created(), new ConsumerDisabled(DisabledBecause.Gone)).Holds("consumer-name=billing", "consumer-slot=3");
        Given(Created(), new ConsumerRemoved()).Holds();
    }

    [Theory]
    [InlineData("https://hooks.example.com")]
    [InlineData("https://hooks.example.com:8443/a?b=c%20d")]
    [InlineData("http://127.0.0.1:4711/hook")]
    public void A_url_is_absolute(string text) => Assert.True(EndpointUrl.TryParse(text, out _));

    [Theory]
    [InlineData("")]
    [InlineData("hooks.example.com")]
    [InlineData("/hook")]
    [InlineData("ftp://hooks.example.com/")]
    [InlineData("https://ada:secret@hooks.example.com/")]
    [InlineData("https://hooks.example.com/#part")]
    [InlineData("https://hooks.example.com/\nHost: other")]
    [InlineData(@"https:\\hooks.example.com")]
    [InlineData("https://ünicode.example/")]
    [InlineData(" https://hooks.example.com/")]
    public void Another_text_is_no_url(string text) => Assert.False(EndpointUrl.TryParse(text, out _));

    [Theory]
    [InlineData("*", true)]
    [InlineData("nubabel.api_key.made.v1", true)]
    [InlineData("nubabel.*", false)]
    [InlineData("device_registered", false)]
    [InlineData("nubabel.device.registered.v1\n", false)]
    public void A_type_is_a_public_one_or_all(string text, bool ok) => Assert.Equal(ok, PublicType.TryParse(text, out _));

    private static CreateConsumer Create() => new(Name, Url, [Joined], false, "s0", 3);
    private static ConsumerCreated Created() => new(Name, Url, [Joined], false, "s0", 3);
    private static ConsumerSecretRotated Rotated(int generation, int overlap) => new(generation, $"s{generation}", Noon.AddSeconds(overlap), overlap);
}
