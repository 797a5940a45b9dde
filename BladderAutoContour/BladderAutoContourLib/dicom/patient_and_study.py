"""What a structure set takes over from its CT: the patient and study modules, so that archives file both together.

PS3.3 C.7.1.1 patient, C.7.1.3 and C.7.2.3 clinical trial, C.7.2.1 general study, C.7.2.2 patient study.
"""

import copy
from collections.abc import Iterable

from pydicom.dataset import Dataset

from ..errors import InputError
from .check_attributes import UNDECLARED_LETTERS, value_findings

UNICODE = "ISO_IR 192"

EMPTY_IF_ABSENT = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2: present even where the CT lacks them."""

TAKEN_OVER = (
    *EMPTY_IF_ABSENT,
    "StudyInstanceUID",
    # patient
    "TypeOfPatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence",
    "SourcePatientGroupIdentificationSequence", "GroupOfPatientsIdentificationSequence",
    "PatientBirthDateInAlternativeCalendar",
    "PatientDeathDateInAlternativeCalendar", "PatientAlternativeCalendar", "PatientBirthTime", "QualityControlSubject",
    "ReferencedPatientSequence", "ReferencedPatientPhotoSequence", "OtherPatientIDs", "OtherPatientIDsSequence",
    "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "EthnicGroup", "EthnicGroupCodeSequence",
    "PatientComments", "PatientSpeciesDescription", "PatientSpeciesCodeSequence", "PatientBreedDescription",
    "PatientBreedCodeSequence", "BreedRegistrationSequence", "StrainDescription", "StrainNomenclature",
    "StrainCodeSequence", "ResponsiblePerson", "ResponsiblePersonRole", "ResponsibleOrganization",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified", "BurnedInAnnotation",
    # study
    "StudyDescription", "ProcedureCodeSequence", "RequestingService", "RequestingServiceCodeSequence",
    "ReasonForPerformedProcedureCodeSequence", "ReferencedStudySequence", "PhysiciansOfRecord",
    "PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy",
    "PhysiciansReadingStudyIdentificationSequence", "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName", "ConsultingPhysicianIdentificationSequence", "IssuerOfAccessionNumberSequence",
    # patient at the time of the study
    "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence", "PatientAge", "PatientSize", "PatientWeight",
    "PatientBodyMassIndex", "PatientSizeCodeSequence", "MeasuredAPDimension", "MeasuredLateralDimension",
    "MedicalAlerts", "Allergies", "SmokingStatus", "PregnancyStatus", "LastMenstrualDate", "PatientState",
    "Occupation", "AdditionalPatientHistory", "AdmissionID", "IssuerOfAdmissionIDSequence", "ServiceEpisodeID",
    "ServiceEpisodeDescription", "IssuerOfServiceEpisodeIDSequence", "PatientSexNeutered", "ReasonForVisit",
    "ReasonForVisitCodeSequence",
    # clinical trial
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "IssuerOfClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID", "IssuerOfClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName", "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription", "IssuerOfClinicalTrialTimePointID",
    "LongitudinalTemporalOffsetFromEvent", "LongitudinalTemporalEventType", "ConsentForClinicalTrialUseSequence",
)  # fmt: skip


def take_over(header: Dataset, dataset: Dataset, own_texts: Iterable[str]) -> None:
    """Copy the modules from a CT `header` into `dataset`, decoded; its character set too, where it holds `own_texts`.

    own_texts: those that the structure set adds. Raises InputError as `make_room_for` does.
    """
    for keyword in TAKEN_OVER:
        if keyword in header:
            dataset[keyword] = copy.deepcopy(header[keyword])
        elif keyword in EMPTY_IF_ABSENT:
            setattr(dataset, keyword, "")
    if "SpecificCharacterSet" in header:
        dataset.SpecificCharacterSet = header.SpecificCharacterSet
    make_room_for(own_texts, dataset)


def make_room_for(own_texts: Iterable[str], dataset: Dataset) -> None:
    """Declare UNICODE in a decoded `dataset` to which texts are added that are not plain ASCII.

    What was decoded is encoded anew when the file is written. Raises InputError where it has letters already for which
    no character set is declared: nobody knows which they are, and others would take their place.
    """
    beyond_ascii = [text for text in own_texts if not text.isascii()]
    if not beyond_ascii:
        return
    if any(finding.code == UNDECLARED_LETTERS for finding in value_findings(dataset)):
        raise InputError(
            f"{beyond_ascii[0]!r} cannot stand beside the letters of the patient's name and data: the DICOM files do "
            "not declare the character set of those. Choose a name of the letters A to Z."
        )
    dataset.SpecificCharacterSet = UNICODE
