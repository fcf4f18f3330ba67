using Nubabel.Domain.Consents;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Consents;

public sealed class ConsentSpecs : Spec<Consent>
{
    private static readonly PurposeKey News = PurposeKey.Parse("newsletter"), Research = PurposeKey.Parse("research");
    private static readonly ConsentChannel Page = ConsentChannel.Parse("settings-page");

    [Fact]
    public void A_text_is_agreed_to_once_and_a_new_one_again()
    {
        Given().When(new GiveConsent(News, 1, "h1", Page)).Then(new ConsentGiven(News, 1, "h1", Page));
        Given(Agreed(1)).When(new GiveConsent(News, 1, "h1", Page)).Nothing();
        Given(Agreed(1)).When(new GiveConsent(News, 2, "h2")).Then(Agreed(2));
        Given(Agreed(1)).When(new GiveConsent(Research, 1, "r1")).Then(new ConsentGiven(Research, 1, "r1"));
    }

    [Fact]
    public void What_was_given_is_withdrawn_and_can_be_given_again()
    {
        Given(Agreed(1)).When(new WithdrawConsent(News, Channel: Page)).Then(new ConsentWithdrawn(News, Page));
        Given(Agreed(1), new ConsentWithdrawn(News)).When(new WithdrawConsent(News)).Nothing();
        Given(Agreed(1), new ConsentWithdrawn(News)).When(new GiveConsent(News, 1, "h1")).Then(Agreed(1));
        Assert.Equal(new ConsentChoice(false, 1), Given(Agreed(1), new ConsentWithdrawn(News)).State.Of(News));
        Assert.Null(Given(Agreed(1)).State.Of(Research));
    }

    [Fact]
    public void Where_nothing_was_given_only_an_objection_counts()
    {
        Given().When(new WithdrawConsent(News)).Nothing();
        Given().When(new WithdrawConsent(News, Objects: true)).Then(new ConsentWithdrawn(News));
        Given(new ConsentWithdrawn(News)).When(new WithdrawConsent(News, Objects: true)).Nothing();
    }

    private static ConsentGiven Agreed(int version) => new(News, version, $"h{version}");
}
