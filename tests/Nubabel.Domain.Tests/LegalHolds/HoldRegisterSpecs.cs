using Nubabel.Domain.LegalHolds;
using Nubabel.Domain.Users;
using Nubabel.Testing;

namespace Nubabel.Domain.Tests.LegalHolds;

public sealed class HoldRegisterSpecs : Spec<HoldRegister>
{
    private static readonly Id<User> Ada = Id<User>.Parse("0198aaaa-0000-7000-8000-0000000000a1"), Bob = Id<User>.Parse("0198aaaa-0000-7000-8000-0000000000b2");
    private static readonly Id<LegalHold> First = new(Guid.Parse("0198aaaa-0000-7000-8000-000000000001")), Second = new(Guid.Parse("0198aaaa-0000-7000-8000-000000000002"));

    [Fact]
    public void A_held_person_is_not_erased_and_others_are()
    {
        Given(new HoldRegisterEntered(First, Ada)).When(new AdmitErasure(Ada)).Refused("legal_hold.active", RefusalKind.Conflict);
        Given(new HoldRegisterEntered(First, Ada)).When(new AdmitErasure(Bob)).Then(new HoldRegisterErasureAdmitted(Bob));
    }

    [Fact]
    public void A_hold_on_the_organization_holds_everybody() =>
        Given(new HoldRegisterEntered(First)).When(new AdmitErasure(Bob)).Refused("legal_hold.active", RefusalKind.Conflict);

    [Fact]
    public void A_person_is_held_until_the_last_hold_is_lifted()
    {
        Given(new HoldRegisterEntered(First, Ada), new HoldRegisterEntered(Second, Ada), new HoldRegisterLifted(First)).When(new AdmitErasure(Ada)).Refused("legal_hold.active", RefusalKind.Conflict);
        Given(new HoldRegisterEntered(First, Ada), new HoldRegisterLifted(First)).When(new AdmitErasure(Ada)).Then(new HoldRegisterErasureAdmitted(Ada));
        Given(new HoldRegisterEntered(First, Ada)).When(new LiftHold(First)).Then(new HoldRegisterLifted(First));
        Given(new HoldRegisterEntered(First, Ada), new HoldRegisterLifted(First)).When(new LiftHold(First)).Nothing();
        Given().When(new LiftHold(First)).Nothing();
    }

    [Fact]
    public void A_hold_on_somebody_who_is_being_erased_is_too_late()
    {
        Given(new HoldRegisterErasureAdmitted(Ada)).When(new EnterHold(First, Ada)).Refused("legal_hold.too_late", RefusalKind.Conflict);
        Given(new HoldRegisterErasureAdmitted(Ada)).When(new EnterHold(First, Bob)).Then(new HoldRegisterEntered(First, Bob));
    }

    /// <summary>An erasure is gone on with after a crash, whatever was placed on the organization meanwhile.</summary>
    [Fact]
    public void Who_was_admitted_stays_admitted_under_a_later_hold_on_the_organization()
    {
        Given(new HoldRegisterErasureAdmitted(Ada)).When(new EnterHold(First)).Then(new HoldRegisterEntered(First));
        Given(new HoldRegisterErasureAdmitted(Ada), new HoldRegisterEntered(First)).When(new AdmitErasure(Ada)).Nothing();
    }

    [Fact]
    public void The_register_is_begun_once_by_whatever_comes_first()
    {
        Given().When(new OpenHoldRegister()).Then(new HoldRegisterOpened());
        Given(new HoldRegisterEntered(First)).When(new OpenHoldRegister()).Nothing();
        Given(new HoldRegisterErasureAdmitted(Ada)).When(new OpenHoldRegister()).Nothing();
    }

    [Fact]
    public void So_many_holds_count_at_a_time()
    {
        var all = Enumerable.Range(0, HoldRegister.Most).Select(i => new HoldRegisterEntered(new Id<LegalHold>(new Guid(i + 1, 0, 0, new byte[8])), Ada)).ToArray<Event<HoldRegister>>();
        Given(all).When(new EnterHold(Second)).Refused("legal_hold.too_many", RefusalKind.Conflict);
        Given([.. all, new HoldRegisterLifted(new Id<LegalHold>(new Guid(1, 0, 0, new byte[8])))]).When(new EnterHold(Second)).Then(new HoldRegisterEntered(Second));
    }

    [Fact]
    public void It_tells_whom_it_holds_and_which_holds_are_over()
    {
        var state = Given(new HoldRegisterEntered(First, Ada), new HoldRegisterEntered(Second, Bob), new HoldRegisterLifted(First)).State;
        Assert.Equal([Bob], state.Persons);
        Assert.Equal([First], state.Past(Ada));
        Assert.Equal((false, false, true), (state.HoldsAll, state.IsHeld(Ada), state.IsHeld(Bob)));
    }
}
