using Nubabel.Domain.Breaches;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.Breaches;

public sealed class BreachNoticeSpecs : Spec<BreachNotice>
{
    private static readonly NoticeText Words = new(Phrase.Parse("S"), Prose.Parse("W"), Prose.Parse("C"), Prose.Parse("M"), Phrase.Parse("privacy@example.com"));
    private static readonly NoticeContent Content = new(Words, Noon, [BreachKind.Integrity], null, null, BreachRisk.High, [Phrase.Parse("names")], 3);

    [Fact]
    public void Each_wording_is_given_once_and_an_old_one_not_behind_a_new_one()
    {
        Given().When(new GiveBreachNotice(1, Content)).Then(new BreachNoticeGiven(1, Content));
        Given(new BreachNoticeGiven(1, Content)).When(new GiveBreachNotice(1, Content with { AffectedUsers = 4 })).Nothing();
        Given(new BreachNoticeGiven(1, Content)).When(new GiveBreachNotice(2, Content)).Then(new BreachNoticeGiven(2, Content));
        Given(new BreachNoticeGiven(2, Content)).When(new GiveBreachNotice(1, Content)).Nothing();
    }
}
